//! Runs a command given as arguments.
fn main() -> evalbox::Result<()> {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let output = evalbox::Plan::new(args).run()?;
    print!("{}", output.stdout_text());
    eprint!("{}", output.stderr_text());
    eprintln!("{:?} {:?} {:?}", output.status, output.usage, output.refused);
    Ok(())
}
