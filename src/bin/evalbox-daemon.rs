//! The daemon's executable. Started by evalbox with a channel as descriptor 3.

fn main() {
    evalbox::daemon_main()
}
