//! Programs that people run, doing what they do all day. A program that isn't installed is skipped
//! with a word about it.
#![cfg(target_os = "linux")]
#![allow(clippy::print_stdout)]

mod common;

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use common::*;
use evalbox::{Output, Plan};

/// Where a program of the system is, or nothing and a word about it.
fn find(name: &str) -> Option<PathBuf> {
    let found = ["/usr/local/bin", "/usr/bin", "/bin"]
        .iter()
        .map(|dir| Path::new(dir).join(name))
        .find(|path| path.exists());
    if found.is_none() {
        skip(format_args!("no {name}"));
    }
    found
}

fn bash(script: &str) -> Option<Plan> {
    // Whatever fails, fails the script.
    let script = format!("set -eu -o pipefail\n{script}");
    Some(Plan::new([find("bash")?.into_os_string(), "-c".into(), script.into()]).timeout(3 * SOON))
}

#[track_caller]
fn succeeds(plan: &Plan) -> Output {
    let output = plan.run().unwrap();
    good(&output);
    output
}

// ---------------------------------------------------------------------------------------------
// Shells

#[test]
fn bash_scripts_run() {
    let script = r#"
echo "pipes: $(seq 100 | sort -rn | head -3 | tr '\n' ' ')"
cat <<EOT
here: $((6 * 7)) $(basename "$HOME/x.txt" .txt)
EOT
cat <<< "string: here"
echo "substituted: $(diff <(seq 3) <(seq 4) | tail -1)"
seq 5 > >(wc -l > count; echo written > done) ; while [ ! -e done ]; do sleep 0.01; done
echo "out: $(cat count)"
array=(a b c); declare -A map=([x]=1 [y]=2)
echo "arrays: ${#array[@]} ${map[y]} ${array[@]:1}"
( exit 3 ) || echo "status: $?"
f() { local x=$1; [ "$x" -le 1 ] && echo 1 || echo $(( x * $(f $((x - 1))) )); }
echo "recursion: $(f 6)"
exec 7> file; echo seven >&7; exec 7>&-; read -r line < file; echo "descriptor: $line"
mkfifo pipe; (echo through > pipe) & read -r line < pipe; wait; echo "fifo: $line"
sleep 600 & kill %1; wait %1 || echo "killed: $?"
timeout 0.1 sleep 600 || echo "timeout: $?"
printf '%s\n' a b c | xargs -n1 -P3 echo | sort | tr '\n' ' '; echo
time true 2> /dev/null
umask; ulimit -c; type -t cd
trap 'echo "trapped $?"' EXIT
"#;
    let Some(plan) = bash(script) else { return };
    let output = succeeds(&plan);
    let wanted = "pipes: 100 99 98 
here: 42 x
string: here
substituted: > 4
out: 5
arrays: 3 2 b c
status: 3
recursion: 720
descriptor: seven
fifo: through
killed: 143
timeout: 124
a b c 
0022
0
builtin
trapped 0
";
    assert_eq!(output.stdout_text(), wanted, "{}", output.stderr_text());
}

#[test]
fn job_control_works_without_a_terminal() {
    let script = r#"
set -m
sleep 600 & sleep 600 | sleep 600 &
jobs | wc -l
kill -STOP %1; sleep 0.1; jobs %1 | grep -c Stopped
bg %1 > /dev/null; kill %1 %2
wait || true
echo ended
# Each job has a group of its own.
sh -c 'ps -o pgid= -p $$ 2> /dev/null || cut -d" " -f5 /proc/self/stat 2> /dev/null || echo unknown' > /dev/null &
wait; (sleep 600; echo late) & kill -- -$!; wait $! || echo "group killed: $?"
"#;
    let Some(plan) = bash(script) else { return };
    let output = succeeds(&plan);
    assert_eq!(
        output.stdout_text(),
        "2\n1\nended\ngroup killed: 143\n",
        "{}",
        output.stderr_text()
    );
}

#[test]
fn ordinary_tools_work() {
    let script = r#"
mkdir -p tree/{a,b}/{c,d}; for i in $(seq 20); do echo "line $i" > tree/a/c/f$i; done
ln -s a/c/f1 tree/link; chmod 750 tree/b; touch -d '2001-02-03 04:05:06' tree/a/c/f2
tar czf tree.tgz tree; mkdir out; tar xzf tree.tgz -C out
diff -r tree out/tree; stat -c '%a %Y' out/tree/b out/tree/a/c/f2 | head -1
[ "$(stat -c %Y out/tree/a/c/f2)" = "$(stat -c %Y tree/a/c/f2)" ] && echo times
gzip -k tree/a/c/f3; zcat tree/a/c/f3.gz
find tree -name 'f1*' -type f | wc -l
find tree -type f -newer tree/a/c/f2 -exec grep -l 'line 1$' {} +
sed -i 's/line/LINE/' tree/a/c/f5; awk '{ n += $2; print $1 } END { print n }' tree/a/c/f5
cp -a tree copy; mv copy moved; rm -r tree; ls moved | tr '\n' ' '; echo
sort -u -S 1M <(seq 1000) <(seq 1000) | wc -l
split -l 100 <(seq 1000) part.; ls part.* | wc -l; cat part.* | sha256sum | cut -c1-8; seq 1000 | sha256sum | cut -c1-8
dd if=/dev/zero of=block bs=1k count=64 status=none; wc -c < block; od -An -N4 -tx1 block
date -u -d @0 +%F; expr 2 + 3; printf '%05.1f\n' 3.14159; env -i true; nice true; nohup true 2> /dev/null
install -m 755 /dev/null script; stat -c %a script; mktemp -d > name; [ -d "$(cat name)" ] && echo temporary
id -un > /dev/null; hostname > /dev/null || uname -n > /dev/null; nproc > /dev/null; df . > /dev/null; free > /dev/null 2>&1 || true
"#;
    let Some(plan) = bash(script) else { return };
    let output = succeeds(&plan);
    let text = output.stdout_text();
    let mut lines: Vec<_> = text.lines().collect();
    let hashes: Vec<_> = lines.drain(10..12).collect();
    assert_eq!(hashes[0], hashes[1]);
    let wanted = [
        "750 981173106", "times", "line 3", "11", "tree/a/c/f1", "LINE", "5", "a b link ", "1000",
        "10", "65536", " 00 00 00 00", "1970-01-01", "5", "003.1", "755", "temporary",
    ];
    // The time zone is the machine's, so only the mode is compared here.
    assert!(lines[0].starts_with("750 "), "{text}");
    let lines: Vec<_> = lines.into_iter().skip(1).collect();
    assert_eq!(lines, wanted[1..], "{text}");
}

// ---------------------------------------------------------------------------------------------
// Developers' tools

#[test]
fn git_works_in_the_workspace() {
    if find("git").is_none() {
        return;
    }
    let script = r#"
git init -q -b main repo; cd repo
for i in 1 2 3; do echo "$i" >> file; git add file; git commit -q -m "Change $i"; done
git log --format=%s | tr '\n' ' '; echo
git branch other HEAD~1; git checkout -q other; echo more > new; git add new; git commit -q -m Other
git merge -q --no-edit main; git diff --stat HEAD~1 | tail -1 | tr -s ' '
git gc -q; git fsck --strict 2> /dev/null; cd ..
git clone -q repo copy; git clone -q --bare file://"$PWD"/repo bare.git
cd copy; git rev-list --count HEAD; git status --short | wc -l
echo change > file; git stash -q; git stash pop -q; git commit -qam Pushed; git push -q ../bare.git HEAD:refs/heads/pushed
git -C ../bare.git for-each-ref --format='%(refname:short)' | tr '\n' ' '; echo
git worktree add -q ../tree main 2> /dev/null || git worktree add -q ../tree origin/main; ls ../tree
"#;
    let Some(mut plan) = bash(script) else { return };
    for role in ["AUTHOR", "COMMITTER"] {
        plan = plan.env(format!("GIT_{role}_NAME"), "Somebody");
        plan = plan.env(format!("GIT_{role}_EMAIL"), "somebody@example.org");
    }
    let output = succeeds(&plan);
    let wanted = "Change 3 Change 2 Change 1 \n 1 file changed, 1 insertion(+)\n5\n0\nmain other pushed \nfile\n";
    assert_eq!(output.stdout_text(), wanted, "{}", output.stderr_text());
}

#[test]
fn make_and_a_compiler_build_a_program() {
    if find("make").is_none() || find("gcc").is_none() {
        return;
    }
    let makefile = "
CFLAGS = -O2 -Wall -Werror -pthread
program: main.o sum.o
\t$(CC) $(CFLAGS) -o $@ $^ -lm
%.o: %.c sum.h
\t$(CC) $(CFLAGS) -c -o $@ $<
lib.a: sum.o
\t$(AR) rcs $@ $^
clean:
\trm -f *.o program
.PHONY: clean
";
    let main = r#"
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include "sum.h"
static void *work(void *arg) { *(int *)arg = sum(100); return 0; }
int main(void) {
    pthread_t thread; int result;
    if (pthread_create(&thread, 0, work, &result) || pthread_join(thread, 0)) return 1;
    printf("%d %.0f\n", result, sqrt(144.0));
    return 0;
}
"#;
    let script = "make -s -j4 && ./program && make -s lib.a && make clean && gcc -g -fsanitize=undefined -o checked main.c sum.c -lm -pthread 2> /dev/null && ./checked; ls";
    let Some(plan) = bash(script) else { return };
    let plan = plan
        .file("Makefile", makefile)
        .file("main.c", main)
        .file("sum.h", "int sum(int n);\n")
        .file("sum.c", "#include \"sum.h\"\nint sum(int n) { return n ? n + sum(n - 1) : 0; }\n");
    let output = succeeds(&plan);
    let text = output.stdout_text();
    assert!(text.starts_with("5050 12\nrm -f *.o program\n"), "{text}");
    assert!(text.ends_with("lib.a\nmain.c\nsum.c\nsum.h\n"), "{text}");
}

#[test]
fn perl_and_node_run() {
    if find("perl").is_some() {
        let script = r#"my %h; $h{$_ % 3} += $_ for 1..10; print join(",", map {"$_=$h{$_}"} sort keys %h), "\n"; print `echo sub`; open my $f, '>', 'f' or die; print $f "x"; close $f; print -s 'f', "\n"; my $pid = fork; exit 5 unless $pid; waitpid $pid, 0; print $? >> 8, "\n""#;
        assert_eq!(
            succeeds(&Plan::new(["perl", "-we", script])).stdout_text(),
            "0=18,1=22,2=15\nsub\n1\n5\n"
        );
    }
    if let Some(node) = find("node") {
        let script = r#"
const fs = require('fs'), { execFileSync } = require('child_process');
fs.writeFileSync('f', 'data');
const { Worker } = require('worker_threads');
const w = new Worker("require('worker_threads').parentPort.postMessage(6 * 7)", { eval: true });
w.on('message', m => console.log(m, fs.readFileSync('f', 'utf8'), execFileSync('echo', ['sub']).toString().trim()));
Promise.all([1, 2, 3].map(async n => (await new Promise(r => setTimeout(r, 5)), n * n))).then(r => console.log(r.join()));
"#;
        let plan = Plan::new([node.as_os_str(), "-e".as_ref(), script.as_ref()]).timeout(3 * SOON);
        let output = succeeds(&plan);
        let mut lines: Vec<_> = output.stdout_text().lines().map(str::to_owned).collect();
        lines.sort();
        assert_eq!(lines, ["1,4,9", "42 data sub"]);
    }
}

// ---------------------------------------------------------------------------------------------
// Python

#[test]
fn python_does_what_python_does() {
    let script = r#"
import asyncio, concurrent.futures, hashlib, json, os, pathlib, re, shutil, signal, sqlite3, subprocess, sys, tempfile, threading, time, zipfile

print(json.loads(json.dumps({'a': [1, 2.5, None, 'ä']})), re.sub(r'(\w+) (\w+)', r'\2 \1', 'hello world'))

with tempfile.TemporaryDirectory() as d, tempfile.NamedTemporaryFile('w+') as f:
    f.write('x'); f.flush()
    pathlib.Path(d, 'sub').mkdir()
    print(os.path.dirname(d) == os.environ['HOME'], os.stat(f.name).st_size, oct(os.stat(d).st_mode & 0o777))

print(subprocess.run(['sh', '-c', 'cat; exit 3'], input='in', text=True, capture_output=True))
try:
    subprocess.run(['sleep', '600'], timeout=0.1)
except subprocess.TimeoutExpired:
    print('timed out')
p = subprocess.Popen('sleep 600 & wait', shell=True, start_new_session=True)
os.killpg(p.pid, signal.SIGKILL)
print(p.wait())

lock, total = threading.Lock(), 0
def work():
    global total
    for _ in range(1000):
        with lock:
            total += 1
threads = [threading.Thread(target=work) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    print(total, sum(pool.map(lambda n: n * n, range(100))))

async def main():
    async def one(n):
        await asyncio.sleep(0.01)
        return n
    process = await asyncio.create_subprocess_exec('sh', '-c', 'read x; echo got $x', stdin=-1, stdout=-1)
    out, _ = await process.communicate(b'data\n')
    server = await asyncio.start_unix_server(lambda r, w: (w.write(b'hi'), w.close()), 'sock')
    reader, writer = await asyncio.open_unix_connection('sock')
    said = await reader.read()
    server.close()
    loop = asyncio.get_running_loop()
    event = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, event.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    await asyncio.wait_for(event.wait(), 20)
    print(await asyncio.gather(*map(one, range(3))), out, process.returncode, said, await loop.run_in_executor(None, lambda: 'executor'))
asyncio.run(main())

db = sqlite3.connect('file.db')
db.execute('pragma journal_mode=wal')
with db:
    db.execute('create table t (a, b)')
    db.executemany('insert into t values (?, ?)', [(n, str(n)) for n in range(1000)])
print(db.execute('select count(*), sum(a), max(b) from t').fetchone(), sqlite3.connect('file.db').execute('select 1').fetchone())

with zipfile.ZipFile('z.zip', 'w') as z:
    z.writestr('a/b', 'x' * 1000)
print(zipfile.ZipFile('z.zip').read('a/b') == b'x' * 1000, hashlib.sha256(b'').hexdigest()[:8], shutil.which('sh') is not None)
os.setpriority(os.PRIO_PROCESS, 0, 5)
print(os.cpu_count() >= 1, len(os.sched_getaffinity(0)) >= 1, time.time() > 1e9, os.getloadavg()[0] >= 0)
"#;
    let Some(plan) = python(script) else { return };
    let output = succeeds(&plan.timeout(3 * SOON));
    let wanted = "{'a': [1, 2.5, None, 'ä']} world hello
True 1 0o700
CompletedProcess(args=['sh', '-c', 'cat; exit 3'], returncode=3, stdout='in', stderr='')
timed out
-9
8000 328350
[0, 1, 2] b'got data\\n' 0 b'hi' executor
(1000, 499500, '999') (1,)
True e3b0c442 True
True True True True
";
    assert_eq!(output.stdout_text(), wanted);
}

#[test]
fn multiprocessing_works_with_shared_memory_granted() {
    if !Path::new("/dev/shm").is_dir() {
        return skip("no /dev/shm");
    }
    // Processes are started anew from a file, so it can't be given with -c.
    let script = "
import multiprocessing as mp, os, sys
from multiprocessing import shared_memory
def square(n):
    return n * n
def count(value, lock, queue):
    for _ in range(100):
        with lock:
            value.value += 1
    queue.put(os.getpid())
def main(method):
    context = mp.get_context(method)
    with context.Pool(3) as pool:
        print(pool.map(square, range(5)))
    value, lock, queue = context.Value('i', 0), context.Lock(), context.Queue()
    processes = [context.Process(target=count, args=(value, lock, queue)) for _ in range(3)]
    [p.start() for p in processes]
    pids = {queue.get(timeout=20) for _ in processes}
    [p.join() for p in processes]
    print(value.value, len(pids))
    a, b = context.Pipe()
    p = context.Process(target=b.send, args=(['x'],))
    p.start(); print(a.recv()); p.join()
    memory = shared_memory.SharedMemory(create=True, size=100)
    memory.buf[:3] = b'abc'
    again = shared_memory.SharedMemory(memory.name)
    print(bytes(again.buf[:3]))
    again.close(); memory.close(); memory.unlink()
if __name__ == '__main__':
    main(sys.argv[1])
";
    let Some(base) = python("") else { return };
    drop(base);
    for method in ["fork", "spawn", "forkserver"] {
        let plan = Plan::new(["/usr/bin/python3", "main.py", method]).file("main.py", script);
        let output = succeeds(&plan.write("/dev/shm").timeout(3 * SOON));
        let wanted = "[0, 1, 4, 9, 16]\n300 3\n['x']\nb'abc'\n";
        assert_eq!(output.stdout_text(), wanted, "{method}: {}", output.stderr_text());
    }
}

/// Modules of CPython's own tests. They must come out inside as they do outside.
const MODULES: &[&str] = &[
    "test_json", "test_re", "test_math", "test_dataclasses", "test_struct", "test_string",
    "test_collections", "test_functools", "test_glob", "test_zlib", "test_csv", "test_contextlib",
    "test_generators", "test_asyncio.test_locks", "test_asyncio.test_queues", "test_mmap",
];

const RUN_TESTS: &str = "
import sys, unittest, warnings
warnings.simplefilter('ignore')
from test import support
support.use_resources = []
support.verbose = False
import time
for name in sys.argv[1:]:
    begun = time.monotonic()
    try:
        suite = unittest.defaultTestLoader.loadTestsFromName('test.' + name)
    except Exception as error:
        print('@', name, 'not loaded', type(error).__name__, file=sys.__stdout__, flush=True)
        continue
    result = unittest.TestResult()
    suite.run(result)
    bad = sorted(test.id() for test, _ in result.failures + result.errors)
    print('@', name, result.testsRun, bad, len(result.skipped), file=sys.__stdout__, flush=True)
    print('#', name, time.monotonic() - begun, len(result.skipped), file=sys.__stderr__, flush=True)
    for test, trace in result.failures + result.errors:
        print(test.id(), trace, file=sys.__stderr__)
";

/// A Python that has its tests: itself, and where it is.
fn python_with_tests() -> Option<(PathBuf, PathBuf)> {
    let home = env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
    let versions = home.join(".pyenv/versions");
    let mut candidates = vec![PathBuf::from("/usr/bin/python3"), "/usr/local/bin/python3".into()];
    if versions.is_dir() {
        let mut dirs = entries(&versions);
        dirs.sort_by_cached_key(|dir| {
            let version = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
            version.split('.').map(|n| n.parse().unwrap_or(0)).collect::<Vec<u32>>()
        });
        candidates.extend(dirs.iter().rev().map(|dir| dir.join("bin/python3")));
    }
    candidates.into_iter().find_map(|python| {
        let question =
            "import sys, test.test_json; assert sys.version_info >= (3, 9); print(sys.base_prefix)";
        let answer = Command::new(&python).args(["-c", question]).output().ok()?;
        let prefix = String::from_utf8(answer.stdout).ok()?;
        answer.status.success().then(|| (python, PathBuf::from(prefix.trim())))
    })
}

fn results(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("@ ")?.split_once(' '));
    lines.map(|(name, result)| (name.to_owned(), result.to_owned())).collect()
}

/// `EVALBOX_PYTHON_TESTS=a,b` runs these modules instead: `test_threading`, `test_weakref`,
/// `test_itertools`, `test_queue`, `test_select`, `test_selectors`, `test_asyncio.test_tasks` and
/// `test_asyncio.test_subprocess` agree too, but take a minute together.
#[test]
fn cpythons_own_tests_come_out_as_outside() {
    let Some((python, prefix)) = python_with_tests() else {
        return skip("no Python has its tests (Debian: libpython3-testsuite)");
    };
    let chosen = env::var("EVALBOX_PYTHON_TESTS").ok();
    let modules: Vec<&str> = chosen.as_deref().map_or(MODULES.to_vec(), |c| c.split(',').collect());
    let words = [python.to_str().unwrap(), "-B", "-c", RUN_TESTS].into_iter().chain(modules);
    let words: Vec<_> = words.collect();
    let dir = temp();
    let outside = thread::spawn({
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).current_dir(dir.path()).env_clear();
        command.env("PATH", "/usr/bin:/bin").env("HOME", dir.path()).env("TMPDIR", dir.path());
        command.env("LANG", "C.UTF-8");
        move || command.output().unwrap()
    });
    let limits = limits(|limits| {
        limits.tasks = Some(1_000);
        limits.file_size = None;
        limits.output = None;
    });
    let plan = Plan::new(words).execute(&prefix).limits(limits).timeout(9 * SOON);
    let inside = plan.run().unwrap();
    let outside = outside.join().unwrap();
    let text = String::from_utf8_lossy(&outside.stdout).into_owned();
    let (inside_results, outside_results) = (results(&inside.stdout_text()), results(&text));
    if chosen.is_some() {
        println!("{}\n----\n{}", String::from_utf8_lossy(&outside.stderr), inside.stderr_text());
        println!("{:#?}", inside.refused);
    }
    let tests: usize =
        outside_results.values().filter_map(|r| r.split(' ').next()?.parse::<usize>().ok()).sum();
    println!("{tests} tests of {}", python.display());
    assert!(
        inside.ok() && !outside_results.is_empty(),
        "{:?} {}",
        inside.status,
        inside.stderr_text()
    );
    for (module, wanted) in &outside_results {
        let got = inside_results.get(module);
        assert_eq!(got, Some(wanted), "{module}: inside and outside\n{}", inside.stderr_text());
    }
}

// ---------------------------------------------------------------------------------------------
// Network

#[test]
fn curl_reaches_a_granted_server() {
    if find("curl").is_none() {
        return;
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let body = "x".repeat(200_000);
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    let curl = |url: String| {
        Plan::new([
            "curl", "-sS", "--max-time", "20", "-o", "out", "-w", "%{http_code} %{size_download}",
        ])
        .arg(url)
    };
    let plan = curl(format!("http://{address}/")).collect("out").connect(address.to_string());
    let output = succeeds(&plan);
    assert_eq!(output.stdout_text(), "200 200000");
    assert_eq!(output.files[Path::new("out")].len(), 200_000);
    // By its name, which is in /etc/hosts.
    let plan = curl(format!("http://localhost:{}/", address.port()));
    let output = succeeds(&plan.clone().connect(format!("localhost:{}", address.port())));
    assert_eq!(output.stdout_text(), "200 200000");
    // Not granted: an error of curl's, and a report.
    let output = plan.connect("127.0.0.1:1").run().unwrap();
    assert_eq!(output.exit_code(), Some(7), "{output:?}");
    let wanted = format!("connect(\"127.0.0.1:{}\")", address.port());
    assert!(
        output.refused.iter().any(|r| r.grant.as_deref() == Some(&wanted)),
        "{:?}",
        output.refused
    );
}
