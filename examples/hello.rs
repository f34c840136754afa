//! Runs the command given as arguments, and says how it went.

#![allow(clippy::print_stdout, clippy::print_stderr)]

fn main() -> evalbox::Result<()> {
    let command: Vec<_> = std::env::args_os().skip(1).collect();
    let output = evalbox::Plan::new(command).run()?;
    print!("{}", output.stdout_text());
    eprint!("{}", output.stderr_text());
    eprintln!("{:?}, {:?}", output.status, output.usage);
    for refused in &output.refused {
        eprintln!("refused: {refused:?}");
    }
    Ok(())
}
