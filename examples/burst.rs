//! Starts many sandboxes at once, some rounds of them.

fn main() -> evalbox::Result<()> {
    let mut executor = evalbox::Executor::new()?;
    let plan = evalbox::Plan::new(["/bin/true"]);
    for _ in 0..20 {
        for _ in 0..64 {
            executor.spawn(&plan)?;
        }
        while executor.active() > 0 {
            executor.poll(None)?;
        }
    }
    Ok(())
}
