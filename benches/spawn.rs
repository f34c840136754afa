//! What a run costs: evalbox beside a bare `posix_spawn`, bubblewrap and sandlock, interleaved in
//! one go. Prints medians, minimums and ratios; asserts nothing about time.
//!
//! `cargo bench --bench spawn [-- ROUNDS]`. Peers that aren't installed are left out.

#![allow(clippy::print_stdout)]

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use evalbox::{Executor, Plan};

/// One way to run a command to its end.
struct Way {
    name: &'static str,
    run: Box<dyn FnMut()>,
    times: Vec<Duration>,
}

impl Way {
    fn new(name: &'static str, run: impl FnMut() + 'static) -> Self {
        Self { name, run: Box::new(run), times: Vec::new() }
    }
}

fn main() {
    if std::env::var_os("EVALBOX_BENCH_FIRST_RUN").is_some() {
        let begun = Instant::now();
        assert!(Plan::new(["/bin/true"]).run().expect("run").ok());
        println!("{}", begun.elapsed().as_secs_f64() * 1e3);
        return;
    }
    let rounds = std::env::args().filter_map(|arg| arg.parse().ok()).next().unwrap_or(200);
    println!("each number: {rounds} interleaved runs, stdio to nowhere or captured\n");
    compare("/bin/true", ways(&["/bin/true"], &["/bin/true"]), rounds);
    let print = ["/usr/bin/python3", "-c", "print(1)"];
    compare("/usr/bin/python3 -c 'print(1)'", ways(&print, &print), rounds / 2);
    at_once(64);
    from_a_big_host(rounds / 2);
    first_run();
}

fn ways(bare: &[&str], boxed: &[&str]) -> Vec<Way> {
    let own = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect::<Vec<String>>();
    let (bare, boxed) = (own(bare), own(boxed));
    let mut ways = Vec::new();
    let command = bare.clone();
    ways.push(Way::new("posix_spawn", move || quiet(&command)));
    let mut executor = Executor::new().expect("evalbox");
    let plan = Plan::new(boxed.clone());
    ways.push(Way::new("evalbox, policy seen before", move || {
        assert!(executor.run(&plan).expect("run").ok());
    }));
    let mut executor = Executor::new().expect("evalbox");
    let command = boxed.clone();
    let mut fresh = 0u64;
    ways.push(Way::new("evalbox, new policy each time", move || {
        fresh += 1;
        let limits = evalbox::Limits { file_size: Some((1 << 30) + fresh), ..Default::default() };
        assert!(executor.run(&Plan::new(command.clone()).limits(limits)).expect("run").ok());
    }));
    if installed("bwrap") {
        let mut command = own(&[
            "bwrap", "--unshare-all", "--die-with-parent", "--ro-bind", "/", "/", "--dev", "/dev",
            "--proc", "/proc", "--",
        ]);
        command.extend(bare.clone());
        ways.push(Way::new("bubblewrap --unshare-all", move || quiet(&command)));
    }
    if let Some(mut sandlock) = Sandlock::start(&bare) {
        ways.push(Way::new("sandlock, Python API", move || sandlock.run()));
    }
    ways
}

fn compare(what: &str, mut ways: Vec<Way>, rounds: usize) {
    for _ in 0..3 {
        ways.iter_mut().for_each(|way| (way.run)());
    }
    for _ in 0..rounds {
        for way in &mut ways {
            let begun = Instant::now();
            (way.run)();
            way.times.push(begun.elapsed());
            // What a way does in the background is its own affair, not the next one's.
            std::thread::sleep(Duration::from_micros(1_500));
        }
    }
    println!("{what}");
    table(&mut ways);
}

fn table(ways: &mut [Way]) {
    println!("  {:<34}{:>10}{:>10}{:>10}{:>8}", "", "median", "min", "p95", "ratio");
    let mut base = None;
    for way in ways {
        way.times.sort();
        let at = |share: usize| way.times[(way.times.len() - 1) * share / 100].as_secs_f64() * 1e3;
        let base = *base.get_or_insert(at(50));
        println!(
            "  {:<34}{:>7.2} ms{:>7.2} ms{:>7.2} ms{:>8.2}",
            way.name,
            at(50),
            at(0),
            at(95),
            at(50) / base
        );
    }
    println!();
}

/// Many sandboxes at once from one thread.
fn at_once(count: usize) {
    let mut bare = Way::new("posix_spawn", move || {
        let start = |_| Command::new("/bin/true").stdout(Stdio::null()).spawn().expect("spawn");
        let children: Vec<Child> = (0..count).map(start).collect();
        children.into_iter().for_each(|mut child| drop(child.wait()));
    });
    let mut executor = Executor::new().expect("evalbox");
    let plan = Plan::new(["/bin/true"]);
    let mut boxed = Way::new("evalbox", move || {
        for _ in 0..count {
            executor.spawn(&plan).expect("spawn");
        }
        let mut done = 0;
        while done < count {
            match executor.poll(None).expect("poll") {
                Some(evalbox::Event::Completed { .. }) => done += 1,
                Some(other) => panic!("{other:?}"),
                None => panic!("sandboxes were lost"),
            }
        }
    });
    for _ in 0..10 {
        for way in [&mut bare, &mut boxed] {
            let begun = Instant::now();
            (way.run)();
            way.times.push(begun.elapsed());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    println!("{count} × /bin/true at once");
    table(&mut [bare, boxed]);
}

/// A host with a gigabyte of touched memory and eight threads.
fn from_a_big_host(rounds: usize) {
    let mut heap = vec![0u8; 1 << 30];
    heap.iter_mut().step_by(4_096).for_each(|byte| *byte = 1);
    for _ in 0..8 {
        std::thread::spawn(|| std::thread::sleep(Duration::from_secs(3_600)));
    }
    let ways = ways(&["/bin/true"], &["/bin/true"]).into_iter().take(2).collect();
    compare("/bin/true from a host with 1 GB of memory and 8 threads", ways, rounds);
    drop(heap);
}

/// A new process: its daemon has to be started first.
fn first_run() {
    let me = std::env::current_exe().expect("exe");
    let mut times = Vec::new();
    for _ in 0..10 {
        let output =
            Command::new(&me).env("EVALBOX_BENCH_FIRST_RUN", "1").output().expect("first run");
        times.extend(String::from_utf8_lossy(&output.stdout).trim().parse::<f64>());
    }
    times.sort_by(f64::total_cmp);
    if let Some(median) = times.get(times.len() / 2) {
        println!("first run of a process, its daemon's start included: {median:.2} ms (median)");
    }
}

fn quiet(command: &[String]) {
    let status = Command::new(&command[0])
        .args(&command[1..])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .env_clear()
        .status();
    assert!(status.is_ok_and(|status| status.success()), "{command:?}");
}

fn installed(program: &str) -> bool {
    Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok()
}

/// sandlock in a Python process of its own, which times nothing and answers each line.
struct Sandlock {
    child: Child,
    ask: ChildStdin,
    answer: BufReader<ChildStdout>,
}

impl Sandlock {
    fn start(command: &[String]) -> Option<Self> {
        let python = std::env::var("SANDLOCK_PYTHON").unwrap_or_else(|_| "python3".into());
        let script = "import sys\nfrom sandlock import Sandbox\n\
            box = Sandbox(fs_readable=['/usr','/lib','/lib64','/bin','/etc'])\n\
            assert box.run(sys.argv[1:]).success\nprint('ready', flush=True)\n\
            for line in sys.stdin:\n    box.run(sys.argv[1:])\n    print('done', flush=True)\n";
        let mut child = Command::new(python)
            .args(["-c", script])
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let ask = child.stdin.take()?;
        let mut answer = BufReader::new(child.stdout.take()?);
        let mut line = String::new();
        answer.read_line(&mut line).ok()?;
        (line.trim() == "ready").then_some(Self { child, ask, answer })
    }

    fn run(&mut self) {
        self.ask.write_all(b"\n").expect("ask sandlock");
        let mut line = String::new();
        self.answer.read_line(&mut line).expect("sandlock's answer");
        assert_eq!(line.trim(), "done");
    }
}

impl Drop for Sandlock {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
