//! The command line.

fn main() -> ! {
    std::process::exit(evalbox::cli::main(std::env::args_os()))
}
