//! Real programs can't tell whether they are supervised: with everything asked and allowed they leave
//! the same tree behind and say the same.

#![allow(clippy::print_stdout, reason = "what the harness shows when a test fails")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use common::temp;
use evalbox::{Decision, Operation, Plan, Policy, SyscallContext};

/// Name → kind, mode and content of everything below a directory.
fn tree(dir: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut left = vec![dir.to_owned()];
    while let Some(here) = left.pop() {
        for entry in fs::read_dir(&here).unwrap().flatten() {
            let path = entry.path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let content = if metadata.is_dir() {
                left.push(path.clone());
                Vec::new()
            } else if metadata.is_symlink() {
                fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes()
            } else if metadata.is_file() {
                fs::read(&path).unwrap_or_default()
            } else {
                // A pipe would wait for its other end.
                Vec::new()
            };
            let name = path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned();
            found.insert(name, (metadata.permissions().mode(), content));
        }
    }
    found
}

fn is_there(program: &str) -> bool {
    let there = Path::new("/usr/bin").join(program).exists();
    if !there {
        println!("skipped: {program} is not installed");
    }
    there
}

/// Runs a script unsupervised and supervised, and compares what is said and left behind.
fn same(script: &str) {
    let run = |supervised: bool| {
        let temp = temp();
        let dir = temp.path().canonicalize().unwrap();
        let plan = Plan::new(["/bin/bash", "-c", script])
            .write(&dir)
            .cwd(&dir)
            .env("HOME", &dir)
            .env("GIT_CONFIG_NOSYSTEM", "1");
        let mut asked = 0;
        let output = if supervised {
            plan.supervised(Policy::new().ask_about([Operation::All]))
                .run_with(|_| {
                    asked += 1;
                    Decision::Allow
                })
                .unwrap()
        } else {
            plan.run().unwrap()
        };
        let place = dir.to_str().unwrap();
        let text = |text: &str| text.replace(place, "DIR");
        let said = (text(&output.stdout_text()), text(&output.stderr_text()));
        (output.status, said, tree(&dir), asked)
    };
    let (plain, supervised) = (run(false), run(true));
    assert!(supervised.3 > 0, "nothing was asked");
    assert_eq!(plain.0, supervised.0, "{:?}\n{:?}", plain.1, supervised.1);
    assert_eq!(plain.1, supervised.1);
    let names = |tree: &BTreeMap<String, (u32, Vec<u8>)>| tree.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&plain.2), names(&supervised.2));
    for (name, entry) in &plain.2 {
        assert_eq!(Some(entry), supervised.2.get(name), "{name}");
    }
}

#[test]
fn the_shell_and_its_tools() {
    same(
        "umask 027; mkdir -p a/b/c; echo one > a/1; cp -a a x; mv x/1 x/2; ln -s a link; ln a/1 hard
        chmod 4755 a/1; chmod 640 hard; touch -d 2001-01-01 a/b; install -m 700 a/1 tool; rmdir a/b/c
        cat <(echo process) <(sort a/1); find . -newer nothing; find x -delete; ls -R; echo >> a/1
        (cd a && echo up > ../up); truncate -s 10 up; dd if=/dev/zero of=zero bs=10 count=3 2>&1 | wc -l
        exec 3<>a/1; cat <&3; cat < /dev/stdin; echo x > /dev/stderr; mkfifo p; (echo pipe > p &); cat p
        mv nothing some; mv a a; mv a a/b; rm -r link hard; echo $?",
    );
}

#[test]
fn archives() {
    same(
        "mkdir -p d/e; echo 1 > d/f; ln -s f d/l; tar cf t.tar d; rm -r d; tar xf t.tar; tar tvf t.tar | wc -l; rm t.tar",
    );
}

#[test]
fn git() {
    if !is_there("git") {
        return;
    }
    same(
        "set -e; export GIT_AUTHOR_DATE='2001-01-01T00:00:00Z' GIT_COMMITTER_DATE='2001-01-01T00:00:00Z'
        git init -q -b main r; cd r; git config user.email a@b; git config user.name a; git config gc.auto 0
        echo one > f; git add f; git commit -qm one; git mv f g; git commit -qm two; git checkout -q -b side
        echo two >> g; git commit -qam three; git checkout -q main; git merge -q side; git log --oneline
        cd ..; git clone -q r copy; cat copy/g; rm -rf copy r/.git/index r/.git/logs",
    );
}

#[test]
fn make() {
    if !is_there("make") || !is_there("cc") {
        return;
    }
    same(
        "printf 'all: x\\nx: x.c\\n\\tcc -o x x.c\\nclean:\\n\\trm x\\n' > Makefile
        echo 'int main(void) { return 7; }' > x.c; make -s; ./x; echo $?; make -s clean; make -s x; rm x",
    );
}

#[test]
fn python_programs() {
    if !is_there("python3") {
        return;
    }
    same(
        r#"cat > run.py <<'END'
import asyncio, os, pathlib, shutil, sqlite3, subprocess, sys, tempfile, threading
root = pathlib.Path("data")
for i in range(30):
    (root / str(i % 3)).mkdir(parents=True, exist_ok=True)
    (root / str(i % 3) / f"{i}.txt").write_text(str(i))
shutil.copytree(root, "copy")
shutil.rmtree(root)
with tempfile.TemporaryDirectory(dir=".") as place:
    open(os.path.join(place, "x"), "w").close()
base = sqlite3.connect("base.db")
base.execute("pragma journal_mode=wal")
with base:
    base.execute("create table t (x)")
    base.executemany("insert into t values (?)", [(i,) for i in range(100)])
print(base.execute("select sum(x) from t").fetchone())
base.close()
os.remove("base.db")
print(subprocess.run(["sh", "-c", "echo $0 $1", "a", "b"], capture_output=True, text=True).stdout)
def work(n):
    p = pathlib.Path(f"t{n}"); p.write_text("x"); p.rename(f"u{n}")
threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
async def main():
    process = await asyncio.create_subprocess_exec("cat", "u1", stdout=subprocess.PIPE)
    print(await process.communicate())
asyncio.run(main())
END
python3 -B run.py"#,
    );
}

#[test]
fn a_project_is_half_removed() {
    let temp = temp();
    let dir = temp.path().canonicalize().unwrap();
    for i in 0..20 {
        let part = dir.join("project").join(if i % 2 == 0 { "src" } else { "build" });
        fs::create_dir_all(&part).unwrap();
        fs::write(part.join(format!("{i}.txt")), i.to_string()).unwrap();
    }
    let output = Plan::new(["/bin/sh", "-c", "rm -rf project; echo $?"])
        .write(&dir)
        .cwd(&dir)
        .supervised(Policy::new().ask_about([Operation::Delete]))
        .run_with(|call| match call {
            SyscallContext::Delete { path } if path.starts_with(dir.join("project/src")) => {
                Decision::Deny
            }
            _ => Decision::Allow,
        })
        .unwrap();
    assert_eq!(output.stdout_text(), "1\n");
    let lines = output.stderr_text().lines().filter(|l| l.contains("Permission denied")).count();
    assert!(lines >= 10, "{output:?}");
    assert!(!dir.join("project/build").exists());
    assert_eq!(fs::read_dir(dir.join("project/src")).unwrap().count(), 10);
}
