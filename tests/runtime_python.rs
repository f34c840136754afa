//! Python programs in the sandbox, against what the same interpreter does without it.
#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use evalbox::error::RuntimeError;
use evalbox::{Config, Error, Event, Executor, Limits, Output, Plan, Status, Stdin, python};
use tempfile::TempDir;

fn run(code: &str) -> Output {
    run_in(code, &Config::new())
}

fn run_in(code: impl AsRef<[u8]>, config: &Config) -> Output {
    python::run(code, config).unwrap()
}

fn value(code: &str) -> Option<String> {
    let output = run(code);
    assert!(output.ok() && output.error.is_none(), "{code}: {output:?}");
    output.value
}

fn raises(code: impl AsRef<[u8]>) -> evalbox::Exception {
    let output = run_in(code, &Config::new());
    assert_eq!(output.status, Status::Exited(1), "{output:?}");
    assert_eq!(output.value, None);
    let error = output.error.clone().unwrap_or_else(|| panic!("{output:?}"));
    assert_eq!(output.stderr_text(), error.traceback, "stderr has the traceback");
    error
}

/// Every Python of this machine that evalbox should work with.
fn interpreters() -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("/usr/bin/python3")];
    let root =
        std::env::var_os("PYENV_ROOT").map(PathBuf::from).or_else(|| Some(home()?.join(".pyenv")));
    for entry in
        root.iter().flat_map(|root| fs::read_dir(root.join("versions")).into_iter().flatten())
    {
        let dir = entry.unwrap().path();
        let name = dir.file_name().unwrap().to_string_lossy().into_owned();
        let minor =
            name.strip_prefix("3.").and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
        if minor.is_some_and(|minor| minor >= 8) {
            found.push(dir.join("bin/python3"));
        }
    }
    found.retain(|file| file.exists());
    assert!(!found.is_empty());
    found
}

fn home() -> Option<PathBuf> {
    std::env::var_os("HOME").map(PathBuf::from)
}

fn script(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

fn host(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_roadmaps_line() -> evalbox::Result<()> {
    let config = Config::new();
    let output = evalbox::python::run("print('hello')", &config)?;
    assert_eq!(output.stdout, b"hello\n");
    assert_eq!(output.stderr, b"");
    assert!(output.ok() && output.value.is_none() && output.error.is_none());
    assert!(output.files.is_empty());
    Ok(())
}

#[test]
fn values_of_last_expressions() {
    let cases = [
        ("1 + 1", Some("2")),
        ("x = 3\nx * x", Some("9")),
        ("'a\\n\u{e9}\u{1F40D}'", Some("'a\\n\u{e9}\u{1F40D}'")),
        ("[1, (2.5, None), {'k': {1}}, b'\\xff']", Some("[1, (2.5, None), {'k': {1}}, b'\\xff']")),
        ("'\\ud800'", Some("'\\ud800'")),
        ("None", None),
        ("x = 1", None),
        ("", None),
        ("# nothing", None),
        ("'only a string'", Some("'only a string'")),
        ("def f():\n    return 1\nf", None),
        ("(\n  1 +\n  2\n)", Some("3")),
        ("1; 2", Some("2")),
        ("1;", None),
        ("1 ; # a comment", None),
        ("(1)  ;\n\n# the end\n", None),
        ("(((1)\n)) \\\n;", None),
        ("1 # ;", Some("1")),
        ("';'", Some("';'")),
        ("'\u{e9}';", None),
        ("'\u{e9};'", Some("'\u{e9};'")),
        ("\u{feff}'\u{e9}' ;", None),
        ("\u{feff}2", Some("2")),
        ("if True:\n    5", None),
        ("lambda: 0", None),
        ("print('x')", None),
        (
            "from __future__ import annotations\ndef f(x: nowhere): pass\nf.__annotations__",
            Some("{'x': 'nowhere'}"),
        ),
        (
            "from __future__ import annotations\n(lambda: __import__('inspect').currentframe().f_code.co_flags)() & 0x1000000 > 0",
            Some("True"),
        ),
        ("...", Some("Ellipsis")),
        ("(y := 4)", Some("4")),
        ("1\r\n2\r\n", Some("2")),
    ];
    for (code, wanted) in cases {
        let found = value(code);
        if code.contains("lambda: 0") || code.starts_with("def f") {
            assert!(found.unwrap().starts_with("<function "), "{code}");
        } else {
            assert_eq!(found.as_deref(), wanted, "{code:?}");
        }
    }
}

#[test]
fn long_and_failing_reprs() {
    let long = value("'\u{1F40D}' * 3_000_000").unwrap();
    assert!(long.len() <= 1 << 20 && long.len() > (1 << 20) - 10 && long.ends_with('…'));
    let exact = value("'x' * ((1 << 20) - 2)").unwrap();
    assert!(exact.len() == 1 << 20 && exact.ends_with('\''));
    let fails = "class A:\n    def __repr__(self): 1 / 0\nA()";
    assert_eq!(value(fails).unwrap(), "<repr() of A failed: ZeroDivisionError>");
    let wrong = "class A:\n    def __repr__(self): return 1\nA()";
    assert_eq!(value(wrong).unwrap(), "<repr() of A failed: TypeError>");
    let deep = "x = []\nfor _ in range(100000): x = [x]\nx";
    assert_eq!(value(deep).unwrap(), "<repr() of list failed: RecursionError>");
    let odd = "class A:\n    def __repr__(self): return '\\ud800!'\nA()";
    assert_eq!(value(odd).unwrap(), "\\ud800!");
    let exits = run("class A:\n    def __repr__(self): raise SystemExit(4)\nA()");
    assert_eq!((exits.status, exits.value), (Status::Exited(4), None));
}

#[test]
fn exceptions_have_the_users_frames() {
    let error = raises("def f(n):\n    return 1 / n\n\nf(0)\n");
    assert_eq!(
        (error.kind.as_str(), error.message.as_str()),
        ("ZeroDivisionError", "division by zero")
    );
    let lines: Vec<&str> =
        error.traceback.lines().filter(|line| !line.trim_start().starts_with(['^', '~'])).collect();
    assert_eq!(
        lines,
        [
            "Traceback (most recent call last):",
            "  File \"main.py\", line 4, in <module>",
            "    f(0)",
            "  File \"main.py\", line 2, in f",
            "    return 1 / n",
            "ZeroDivisionError: division by zero",
        ]
    );

    let error = raises("x = 1\n\n\nassert x == 2, 'differs'");
    assert_eq!((error.kind.as_str(), error.message.as_str()), ("AssertionError", "differs"));
    assert!(error.traceback.contains("line 4"));

    let error = raises("class Own(Exception): pass\nraise Own('a\u{e9}\\n\\ud800')");
    assert_eq!(error.kind, "Own");
    assert_eq!(error.message, "a\u{e9}\n\\ud800");

    let error = raises("import json\njson.loads('{')");
    assert_eq!(error.kind, "json.decoder.JSONDecodeError");

    let error =
        raises("try:\n    {}['k']\nexcept KeyError as e:\n    raise ValueError('outer') from e");
    assert!(error.traceback.contains("KeyError: 'k'"));
    assert!(error.traceback.contains("direct cause"));
    assert!(!error.traceback.contains("evalbox"), "{}", error.traceback);

    let error = raises("class E(Exception):\n    def __str__(self): 1 / 0\nraise E");
    assert_eq!(error.message, "<str() of the exception failed>");

    let code = "class M(type):\n    __module__ = property(lambda c: 1 / 0)\n\
         class E(Exception, metaclass=M): pass\nraise E('odd')";
    let output = run(code);
    assert_eq!(output.error.unwrap().message, "odd");

    let error = raises("def f(): f()\nf()");
    assert_eq!(error.kind, "RecursionError");
    assert!(error.traceback.contains("more times"), "{}", error.traceback);

    let error = raises("raise GeneratorExit");
    assert_eq!(error.kind, "GeneratorExit");
}

#[test]
fn source_lines_are_those_that_ran() {
    let error = raises("open('main.py', 'w').write('overwritten\\n' * 9)\nraise ValueError(1)");
    assert!(error.traceback.contains("raise ValueError(1)"), "{}", error.traceback);
    assert!(!error.traceback.contains("overwritten"));
    // Files whose names are those of modules that reporting needs.
    let config = ["traceback", "linecache", "tokenize", "os", "posixpath", "_ast", "posix", "re"]
        .iter()
        .fold(Config::new(), |config, name| {
            config.file(format!("{name}.py"), "raise Exception('shadowed')")
        });
    let output = run_in("def f(): raise ValueError(1)\nf()", &config);
    assert!(output.error.unwrap().traceback.contains("in f"));
    assert_eq!(run_in("1", &config).value.as_deref(), Some("1"));
}

#[test]
fn syntax_errors_are_shown_as_python_shows_them() {
    for interpreter in interpreters() {
        let config = Config::new().interpreter(&interpreter);
        let output = run_in("x = 1\ny = = 2\n", &config);
        assert_eq!(output.exit_code(), Some(1));
        let error = output.error.unwrap();
        assert_eq!(error.kind, "SyntaxError");
        assert!(
            error.traceback.starts_with("  File \"main.py\", line 2\n    y = = 2\n"),
            "{error:?}"
        );
        let caret = error.traceback.lines().nth(2).unwrap();
        assert_eq!(caret.trim(), "^", "{}: {error:?}", interpreter.display());
        let error = run_in("if 1:\nx", &config).error.unwrap();
        assert_eq!(error.kind, "IndentationError");
        let error = run_in("1\0 2", &config).error.unwrap();
        assert_eq!(error.kind, "SyntaxError");
        assert!(error.message.contains("null bytes"), "{error:?}");
        let error = run_in(b"x = '\xff'", &config).error.unwrap();
        assert_eq!(error.kind, "SyntaxError");
        assert!(error.message.contains("utf-8"), "{error:?}");
        let error = run_in("return 1", &config).error.unwrap();
        assert!(error.message.contains("outside function"));
        let error = run_in("f(", &config).error.unwrap();
        assert_eq!(error.kind, "SyntaxError");
    }
    let error = raises("import helper_with_error\n");
    assert_eq!(error.kind, "ModuleNotFoundError");
    let config = Config::new().file("helper.py", "\nx = = 1\n");
    let error = run_in("import helper", &config).error.unwrap();
    assert!(error.traceback.contains("File \"helper.py\", line 2"), "{error:?}");
}

#[test]
fn every_version_behaves_alike() {
    for interpreter in interpreters() {
        let config = Config::new().interpreter(&interpreter).arg("one").arg("");
        let code = "import sys\nprint(sys.argv[1:], file=sys.stderr)\n(__name__, sys.version_info[:2] >= (3, 8), sys.flags.utf8_mode, sorted(globals()))";
        let output = run_in(code, &config);
        assert_eq!(output.stderr_text(), "['one', '']\n");
        let names = "['__annotations__', '__builtins__', '__cached__', '__doc__', '__file__', '__loader__', '__name__', '__package__', '__spec__', 'sys']";
        assert_eq!(output.value.unwrap(), format!("('__main__', True, 1, {names})"));
        let output = run_in("def f():\n  raise KeyError('x')\nf()", &config);
        let error = output.error.unwrap();
        assert_eq!((error.kind.as_str(), error.message.as_str()), ("KeyError", "'x'"));
        assert_eq!(error.traceback.matches("File \"main.py\"").count(), 2);
        assert_eq!(error.traceback.matches("File").count(), 2, "{}", error.traceback);
        // Every module with a library of its own.
        let code = "import ssl, sqlite3, ctypes, lzma, bz2, zlib, hashlib, uuid, decimal, socket, select, json, xml.etree.ElementTree as e\n\
             con = sqlite3.connect(':memory:').execute('select 6 * 7').fetchone()[0], lzma.decompress(lzma.compress(b'x')), e.fromstring('<a/>').tag\ncon";
        let output = run_in(code, &config);
        assert_eq!(output.value.as_deref(), Some("(42, b'x', 'a')"), "{interpreter:?} {output:?}");
    }
}

#[test]
fn ends_as_python_ends() {
    let cases = [
        ("raise SystemExit", 0, ""),
        ("import sys; sys.exit(3)", 3, ""),
        ("import sys; sys.exit(256 + 7)", 7, ""),
        ("import sys; sys.exit('a message')", 1, "a message\n"),
        ("import sys; sys.exit(None)", 0, ""),
        ("exit(5)", 5, ""),
        ("1\nimport os; os._exit(9)", 9, ""),
        (
            "import atexit, sys; atexit.register(lambda: print('bye', file=sys.stderr)); 1",
            0,
            "bye\n",
        ),
        (
            "import threading, time, sys\nt = threading.Thread(target=lambda: (time.sleep(0.1), print('late', file=sys.stderr)))\nt.start()",
            0,
            "late\n",
        ),
    ];
    for (code, exit, stderr) in cases {
        let output = run(code);
        assert_eq!(output.status, Status::Exited(exit), "{code}");
        assert_eq!(output.stderr_text(), stderr, "{code}");
        assert!(output.error.is_none() && output.files.is_empty());
    }
    let output = run("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)");
    assert_eq!(output.status, Status::Signaled(11));
    assert!(output.value.is_none() && output.error.is_none());
    // Python ends itself with SIGINT, which a shell shows as 130.
    let output = run("raise KeyboardInterrupt");
    assert_eq!(output.status, Status::Signaled(2), "{output:?}");
    assert_eq!(output.error.unwrap().kind, "KeyboardInterrupt");
}

#[test]
fn excepthook_of_the_program() {
    let output = run(
        "import sys\ndef hook(kind, error, trace):\n    print('hook', kind.__name__, trace.tb_lineno, trace.tb_next, file=sys.stderr)\nsys.excepthook = hook\n1 / 0",
    );
    assert_eq!(output.stderr_text(), "hook ZeroDivisionError 5 None\n");
    assert_eq!(output.status, Status::Exited(1));
    assert_eq!(output.error.unwrap().kind, "ZeroDivisionError");
    let output = run("import sys\nsys.excepthook = lambda *a: 1 / 0\nraise ValueError");
    assert!(output.stderr_text().contains("Error in sys.excepthook"));
    let output = run("import sys\nsys.stderr = None\nraise ValueError");
    assert_eq!(output.status, Status::Exited(1));
    assert_eq!(output.error.unwrap().kind, "ValueError");
}

#[test]
fn standard_input() {
    let code = "name = input('name? ')\nrest = __import__('sys').stdin.read()\n(name, rest)";
    let output = run_in(code, &Config::new().stdin("Ada\n1\n\u{e9}"));
    assert_eq!(output.stdout_text(), "name? ");
    assert_eq!(output.value.unwrap(), "('Ada', '1\\n\u{e9}')");
    assert_eq!(run("input()").error.unwrap().kind, "EOFError");

    let mut executor = Executor::new().unwrap();
    let config = Config::new().stdin_from(Stdin::Piped);
    let plan = python::plan("while True:\n    print(int(input()) * 2)", &config).unwrap();
    let id = executor.spawn(&plan).unwrap();
    let mut heard = Vec::new();
    for number in 1..=3 {
        executor.write_stdin(id, format!("{number}\n").as_bytes()).unwrap();
        while heard.len() < 2 * number {
            match executor.poll(Some(Duration::from_secs(20))).unwrap() {
                Some(Event::Stdout { data, .. }) => heard.extend(data),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(heard, b"2\n4\n6\n");
    executor.close_stdin(id).unwrap();
    loop {
        match executor.poll(Some(Duration::from_secs(20))).unwrap() {
            Some(Event::Completed { mut output, .. }) => {
                python::finish(&mut output);
                assert_eq!(output.error.unwrap().kind, "EOFError");
                break;
            }
            Some(Event::Stderr { .. }) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_programs_own_files() {
    let config = Config::new()
        .file("helper.py", "def double(x):\n    return x * 2\n")
        .file("pkg/__init__.py", "from .inner import name")
        .file("pkg/inner.py", "name = 'inner'")
        .file("data.txt", "some data");
    let code = "import helper, pkg, os, sys\nfrom pathlib import Path\n\
        [helper.double(4), pkg.name, (Path(__file__).parent / 'data.txt').read_text(), open('data.txt').read(),\
         sys.path[0] == os.getcwd(), sorted(os.listdir())]";
    let output = run_in(code, &config);
    assert_eq!(
        output.value.as_deref(),
        Some(
            "[8, 'inner', 'some data', 'some data', True, ['data.txt', 'helper.py', 'main.py', 'pkg']]"
        ),
        "{output:?}"
    );
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("main.py"), "not this\n".repeat(9)).unwrap();
    let output = run_in(
        "import helper\nhelper.double(None)",
        &config.clone().read(dir.path()).cwd(dir.path()),
    );
    let traceback = output.error.unwrap().traceback;
    assert!(
        traceback.contains("File \"helper.py\", line 2, in double\n    return x * 2"),
        "{traceback}"
    );
    assert!(traceback.contains("    helper.double(None)"), "{traceback}");
    let output = run_in("open('out.txt', 'w').write('o')", &config.collect("out.txt"));
    assert_eq!(output.files.len(), 1);
    assert_eq!(output.files[Path::new("out.txt")], b"o");
    let output = run_in(
        "from main import x\nx, __file__[-9:]",
        &Config::new().file("main.py", "x = 'theirs'"),
    );
    assert_eq!(output.value.unwrap(), "('theirs', 'main_1.py')");
}

#[test]
fn main_is_a_proper_module() {
    let code = "import pickle, sys, inspect, dataclasses\n\
        @dataclasses.dataclass\nclass P:\n    x: int\n\
        def f():\n    return 1  # the comment\n\
        p = pickle.loads(pickle.dumps(P(3)))\n\
        assert type(p) is P and sys.modules['__main__'].P is P\n\
        assert __spec__ is None and __package__ is None and __loader__.get_source('__main__').startswith('import')\n\
        assert 'the comment' in inspect.getsource(f)\n\
        import __main__; assert __main__.f is f\n\
        assert sys.argv == [__file__]\n\
        assert not [k for k in sys.modules if 'evalbox' in k]\n\
        p";
    assert_eq!(value(code).as_deref(), Some("P(x=3)"));
    // What must not be imported before it is needed.
    let loaded = value("import sys\nsorted({'ast', 'traceback', 're', 'json', 'linecache', 'tokenize'} & set(sys.modules))").unwrap();
    let bare = Command::new("/usr/bin/python3")
        .args(["-c", "import sys; print(sorted({'ast', 'traceback', 're', 'json', 'linecache', 'tokenize'} & set(sys.modules)))"])
        .output();
    if Path::new("/usr/bin/python3").exists() {
        let config = Config::new().interpreter("/usr/bin/python3");
        let loaded = run_in(
            "import sys\nsorted({'ast', 'traceback', 're', 'json', 'linecache', 'tokenize'} & set(sys.modules))",
            &config,
        );
        assert_eq!(loaded.value.unwrap().as_bytes(), bare.unwrap().stdout.trim_ascii());
    } else {
        assert_eq!(loaded, "[]");
    }
}

#[test]
fn multiprocessing_and_subprocesses() {
    for interpreter in interpreters() {
        let config = Config::new().interpreter(&interpreter);
        for method in ["fork", "spawn"] {
            let code = format!(
                "import multiprocessing as m\ndef work(c, x):\n    c.send(x * x)\n\
                 if __name__ == '__main__':\n    c = m.get_context('{method}')\n    a, b = c.Pipe()\n\
                 \x20   p = c.Process(target=work, args=(b, 7)); p.start(); r = a.recv(); p.join()\n    r = r, p.exitcode\nr if __name__ == '__main__' else None"
            );
            let output = run_in(&code, &config);
            assert_eq!(
                output.value.as_deref(),
                Some("(49, 0)"),
                "{method} {interpreter:?} {output:?}"
            );
        }
        let code = "import subprocess, sys\n\
            a = subprocess.run([sys.executable, '-c', 'import json; print(6 * 7)'], capture_output=True, text=True)\n\
            b = subprocess.run(['python3', '-c', 'import sys; print(sys.version_info[:2])'], capture_output=True, text=True)\n\
            c = subprocess.check_output('echo $((1 + 1))', shell=True)\n\
            a.stdout, a.stderr, b.stdout.strip() == str(sys.version_info[:2]), b.stderr, c";
        let output = run_in(code, &config);
        assert_eq!(
            output.value.as_deref(),
            Some("('42\\n', '', True, '', b'2\\n')"),
            "{interpreter:?} {output:?}"
        );
    }
    // A forked child that runs on to the end of the program does not speak for it.
    let output =
        run("import os\npid = os.fork()\nif pid: os.waitpid(pid, 0)\n'parent' if pid else 'child'");
    assert_eq!(output.value.as_deref(), Some("'parent'"));
    let output =
        run("import os\npid = os.fork()\nif not pid: raise ValueError\nos.waitpid(pid, 0)[1] >> 8");
    assert_eq!(output.value.as_deref(), Some("1"));
    assert!(output.error.is_none());
    let output = run(
        "import os, sys\nif len(sys.argv) < 2: os.execv(sys.executable, [sys.executable, *sys.argv, 'again'])\nprint(sys.argv[1:])",
    );
    assert_eq!(output.stdout_text(), "['again']\n");
}

#[test]
fn environment() {
    let config = Config::new().env("GREETING", "h\u{e9}");
    let output = run_in("import os\nsorted(os.environ), os.environ['GREETING']", &config);
    let names = output.value.unwrap();
    assert!(names.contains("GREETING") && names.contains("'h\u{e9}'"));
    assert!(!names.contains("PYTHON"), "{names}");
    let output = run_in(
        "import sys\nassert sys.path[0] == '/extra', sys.path\nsys.flags.optimize",
        &Config::new()
            .env("PYTHONPATH", "/extra")
            .env("PYTHONOPTIMIZE", "2")
            .env("PYTHONSAFEPATH", "1")
            .interpreter("/usr/bin/python3"),
    );
    assert_eq!(output.value.as_deref(), Some("2"), "{output:?}");
}

#[test]
fn unicode_and_declared_encodings() {
    let output = run("print('\u{1F40D} \u{e9}')\nn\u{e4}me = 'x'\nn\u{e4}me");
    assert_eq!(output.stdout_text(), "\u{1F40D} \u{e9}\n");
    assert_eq!(output.value.as_deref(), Some("'x'"));
    let config = Config::new();
    let latin = b"# -*- coding: latin-1 -*-\nx = '\xe9'\n'\xe9', x";
    assert_eq!(run_in(latin, &config).value.as_deref(), Some("('\u{e9}', '\u{e9}')"));
    let silent = b"# -*- coding: latin-1 -*-\n'\xe9\xe9\xe9' ;";
    assert_eq!(run_in(silent, &config).value, None);
    let spoken = b"# -*- coding: latin-1 -*-\n'\xe9\xe9;\xe9' # x";
    assert!(run_in(spoken, &config).value.is_some());
    let error = run_in("# coding: nonsense\n1", &config).error.unwrap();
    assert_eq!(error.kind, "SyntaxError");
}

#[test]
fn large_programs_and_outputs() {
    let mut code = "x = 1\n".repeat(180_000);
    code.push_str("x + 1");
    assert!(code.len() > 1 << 20);
    let config = Config::new()
        .timeout(Duration::from_secs(120))
        .limits(Limits { memory: Some(4 << 30), ..Limits::default() });
    let output = run_in(&code, &config);
    assert_eq!(output.value.as_deref(), Some("2"), "{:?}", output.status);
    code.push_str("\n1 / 0");
    let error = run_in(&code, &config).error.unwrap();
    assert!(error.traceback.contains("line 180002, in <module>\n    1 / 0"), "{}", error.traceback);

    let output = run("for i in range(200_000): print('line', i)\n'done'");
    assert_eq!(output.stdout.iter().filter(|byte| **byte == b'\n').count(), 200_000);
    assert_eq!(output.value.as_deref(), Some("'done'"));
    let output = run("while True: print('x' * 10000)");
    assert_eq!(output.status, Status::OutputLimit);
    assert!(output.truncated && output.value.is_none());
}

#[test]
fn limits() {
    let started = Instant::now();
    let config = Config::new().timeout(Duration::from_millis(1500));
    let output = run_in("print('before')\nwhile True: pass", &config);
    assert_eq!(output.status, Status::TimedOut);
    assert!(started.elapsed() < Duration::from_secs(10));
    // Nothing is lost in a buffer.
    assert_eq!(output.stdout_text(), "before\n");
    assert!(output.value.is_none() && output.error.is_none());

    let memory = Limits { memory: Some(128 << 20), ..Limits::default() };
    let output = run_in("x = bytearray(1 << 40)", &Config::new().limits(memory.clone()));
    assert_eq!(output.error.unwrap().kind, "MemoryError");
    let output =
        run_in("x = []\nwhile True: x.append(bytearray(1 << 20))", &Config::new().limits(memory));
    assert!(
        output.status == Status::OutOfMemory
            || output.error.is_some_and(|error| error.kind == "MemoryError"),
        "{:?}",
        output.status
    );
    let small = Limits { file_size: Some(1), ..Limits::default() };
    let output = run_in("1", &Config::new().limits(small));
    assert!(output.status != Status::Exited(0) || output.value.is_none());
}

#[test]
fn nothing_outside_the_grants() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), "s").unwrap();
    let secret = outside.path().join("secret").display().to_string();
    for interpreter in interpreters() {
        let python = fs::canonicalize(&interpreter).unwrap();
        let mut places =
            vec![secret.clone(), outside.path().display().to_string(), "/etc/shadow".into()];
        places.extend(home().map(|home| home.display().to_string()));
        // The directory of the interpreter, of the other versions, of the shims.
        if !python.starts_with("/usr") {
            for above in python.ancestors().skip(1).filter(|dir| dir.parent().is_some()) {
                places.push(above.display().to_string());
            }
        }
        let code = format!(
            "import os\nfound = []\nfor p in {places:?}:\n    try:\n        os.listdir(p) if os.path.isdir(p) else open(p).read()\n        found.append(p)\n    except PermissionError: pass\nfound"
        );
        let output = run_in(&code, &Config::new().interpreter(&interpreter));
        assert_eq!(output.value.as_deref(), Some("[]"), "{interpreter:?} {output:?}");
        let code = "import os, sys\nfor p in (os.__file__, os.path.dirname(os.__file__) + '/evil.py', sys.executable):\n    try: open(p, 'ab'); print(p)\n    except PermissionError: pass";
        assert_eq!(run_in(code, &Config::new().interpreter(&interpreter)).stdout_text(), "");
    }
}

#[test]
fn refusals_name_the_grant() {
    let dir = tempfile::tempdir().unwrap();
    let path = fs::canonicalize(dir.path()).unwrap();
    let path = path.display();
    fs::write(dir.path().join("data"), "d").unwrap();
    script(&dir.path().join("tool"), "#!/bin/sh\necho ran\n");
    let closed = Config::new();
    let readable = Config::new().read(dir.path());
    let cases = [
        (format!("open('{path}/data')"), &closed, "open", format!("read(\"{path}/data\")")),
        (format!("import os; os.listdir('{path}')"), &closed, "open", format!("read(\"{path}\")")),
        (format!("open('{path}/new', 'w')"), &closed, "open", format!("write(\"{path}\")")),
        (format!("open('{path}/data', 'w')"), &readable, "open", format!("write(\"{path}/data\")")),
        (
            format!("import os; os.chdir('{path}'); open('new', 'w')"),
            &readable,
            "open",
            format!("write(\"{path}\")"),
        ),
        (
            format!("import subprocess; subprocess.run(['{path}/tool'])"),
            &readable,
            "execve",
            format!("execute(\"{path}/tool\")"),
        ),
    ];
    for (code, config, syscall, grant) in cases {
        let output = run_in(&code, config);
        assert_eq!(output.error.as_ref().unwrap().kind, "PermissionError", "{code}");
        let refused = output.refused.last().unwrap_or_else(|| panic!("{code}: {output:?}"));
        assert_eq!(
            (refused.syscall.as_str(), refused.grant.as_deref()),
            (syscall, Some(grant.as_str())),
            "{code}"
        );
        assert_eq!((refused.errno, refused.count), (13, 1));
    }
    // Raised by the program: about nothing that can be granted.
    for code in [
        "raise PermissionError(13, 'no')", "raise PermissionError(13, 'no', 7)",
        "raise OSError(1, 'x', '/a\\0b')",
    ] {
        let output = run(code);
        assert!(output.error.is_some() && output.refused.is_empty(), "{output:?}");
    }
    let output = run("import os; os.chmod('/usr/bin/env', 0o777)");
    assert_eq!(output.refused.len(), 1, "{:?}", output.refused);
}

#[test]
fn what_the_program_forges_is_not_believed() {
    for forged in [
        "b''", "b'evalbox1'", "b'evalbox1V\\xff\\xff\\xff\\xff'", "b'x' * 70_000_000",
        "b'evalbox1V\\x01\\0\\0\\0\\xff'",
    ] {
        let code = format!("import os\nopen('.evalbox-result', 'wb').write({forged})\nos._exit(0)");
        let output = run(&code);
        assert!(output.ok(), "{forged} {:?}", output.status);
        assert!(output.value.is_none() && output.error.is_none() && output.files.is_empty());
    }
    let output = run("import os\nos.mkdir('.evalbox-result')\n1");
    assert_eq!((output.status, output.value), (Status::Exited(0), None));
    let output = run("import os\nos.symlink('/etc/passwd', '.evalbox-result')\n1");
    assert_eq!((output.status, output.value), (Status::Exited(0), None));
    let output = run("import os\nos.mkfifo('.evalbox-result')\nos._exit(0)");
    assert_eq!((output.status, output.value), (Status::Exited(0), None));
}

fn venv(interpreter: &Path) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    host(
        Command::new(interpreter).args(["-m", "venv", "--without-pip"]).arg(dir.path().join("env")),
    );
    dir
}

#[test]
fn virtual_environments() {
    for interpreter in interpreters() {
        let dir = venv(&interpreter);
        let env = dir.path().join("env");
        let library = fs::read_dir(env.join("lib")).unwrap().next().unwrap().unwrap().path();
        fs::write(library.join("site-packages/packaged.py"), "answer = 42\n").unwrap();
        fs::write(dir.path().join("secret"), "s").unwrap();
        fs::write(env.join("also secret"), "s").unwrap();
        let config = Config::new().venv(&env);
        let code = format!(
            "import sys, packaged, subprocess\n\
             assert sys.prefix == {env:?} and sys.prefix != sys.base_prefix, sys.prefix\n\
             assert sys.executable.startswith(sys.prefix), sys.executable\n\
             out = subprocess.check_output(['python', '-c', 'import packaged; print(packaged.answer)'])\n\
             for p in ({secret:?}, {also:?}):\n\
             \x20   try: open(p); raise SystemExit('readable')\n\
             \x20   except PermissionError: pass\n\
             try: open(packaged.__file__, 'w'); raise SystemExit('writable')\n\
             except PermissionError: pass\n\
             packaged.answer, out",
            env = env.display().to_string(),
            secret = dir.path().join("secret").display().to_string(),
            also = env.join("also secret").display().to_string(),
        );
        let output = run_in(&code, &config);
        assert_eq!(output.value.as_deref(), Some("(42, b'42\\n')"), "{interpreter:?} {output:?}");
        for changeable in [dir.path(), &env, &env.join("bin"), &library.join("site-packages/..")] {
            let changeable = fs::canonicalize(changeable).unwrap();
            let error = python::run("1", &config.clone().write(changeable)).unwrap_err();
            assert!(error.to_string().contains("write grant"), "{error}");
        }
        let packages = library.join("site-packages");
        let code = "import packaged\nopen(packaged.__file__[:-11] + 'new.py', 'w').write('x = 1')\nimport new\nnew.x";
        let output = run_in(code, &config.clone().write(packages));
        assert_eq!(output.value.as_deref(), Some("1"), "{output:?}");
    }
    let error = python::run("1", &Config::new().venv("/nonexistent")).unwrap_err();
    assert!(matches!(error, Error::Runtime(RuntimeError::NotFound { .. })));
    assert!(error.to_string().contains("/nonexistent/bin/python"), "{error}");
    assert!(error.to_string().contains("python3-venv"), "{error}");
}

#[test]
fn shims_are_asked_and_not_run() {
    let real = &interpreters()[0];
    let dir = tempfile::tempdir().unwrap();
    let shim = dir.path().join("python3");
    let log = dir.path().join("log");
    script(
        &shim,
        &format!(
            "#!/bin/sh\necho asked >> {}\necho 'shim: a warning' >&2\nexec {} \"$@\"\n",
            log.display(),
            real.display()
        ),
    );
    let config = Config::new().interpreter(&shim);
    for _ in 0..3 {
        let output = run_in("import sys\nsys.executable", &config);
        assert_eq!(output.value.clone().unwrap(), format!("'{}'", real.display()));
        assert_eq!(output.stderr_text(), "");
    }
    assert_eq!(fs::read_to_string(&log).unwrap(), "asked\n");
    let output = run_in(format!("open({:?})", shim.display().to_string()), &config);
    assert_eq!(output.error.unwrap().kind, "PermissionError");
    let output = run_in("import sys\nopen(sys.executable, 'rb').read(4)", &Config::new());
    assert_eq!(output.value.as_deref(), Some("b'\\x7fELF'"));
    assert_eq!(output.stderr_text(), "");
}

#[test]
fn interpreters_that_are_none() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("python3");
    script(&file, "#!/bin/sh\necho 'pyenv: no version is set' >&2\nexit 127\n");
    let error = python::run("1", &Config::new().interpreter(&file)).unwrap_err();
    assert!(matches!(&error, Error::Runtime(RuntimeError::Broken { .. })), "{error}");
    assert!(error.to_string().contains("no version is set"), "{error}");
    fs::remove_file(&file).unwrap();
    let error = python::run("1", &Config::new().interpreter(&file)).unwrap_err();
    assert!(matches!(&error, Error::Runtime(RuntimeError::NotFound { .. })), "{error}");
    assert!(error.to_string().contains("apt install"), "{error}");
    let error = python::run("1", &Config::new().interpreter("no-such-python")).unwrap_err();
    assert!(matches!(&error, Error::Runtime(RuntimeError::NotFound { .. })), "{error}");
    symlink("/bin/sh", &file).unwrap();
    let error = python::run("1", &Config::new().interpreter(&file)).unwrap_err();
    assert!(matches!(&error, Error::Runtime(RuntimeError::Broken { .. })), "{error}");
    let error = evalbox::runtime::run("cobol", "1", &Config::new()).unwrap_err();
    assert!(matches!(error, Error::Runtime(RuntimeError::UnknownLanguage(_))));
    assert_eq!(evalbox::runtime::run("python", "2", &Config::new()).unwrap().value.unwrap(), "2");
}

#[test]
fn without_the_system() {
    for interpreter in interpreters() {
        let config = Config::new().system(false).interpreter(&interpreter).stdin("x");
        let output = run_in("import ssl, json\n1 + 1", &config);
        assert_eq!(output.value.as_deref(), Some("2"), "{output:?}");
    }
}

/// Run with `--ignored --nocapture` and in release mode: what the runtime adds to a bare start.
#[test]
#[ignore = "a measurement"]
#[allow(clippy::print_stdout)]
fn cold_start() {
    let config = |file: &Path| Config::new().interpreter(file);
    for file in interpreters() {
        let mut executor = Executor::new().unwrap();
        let bare = |executor: &mut Executor, base: &Plan| {
            let mut plan = Plan::new([file.as_os_str()]).arg("-c").arg("print('hello')");
            if !file.starts_with("/usr") {
                plan = plan.execute(file.parent().unwrap().parent().unwrap());
            }
            let _ = base;
            executor.run(&plan).unwrap()
        };
        let plan = python::plan("print('hello')", &config(&file)).unwrap();
        let failing = python::plan("1 / 0", &config(&file)).unwrap();
        let value = python::plan("[1, 2]", &config(&file)).unwrap();
        let mut times: Vec<Vec<f64>> = vec![Vec::new(); 5];
        for round in 0..60 {
            let mut time = |index: usize, run: &mut dyn FnMut()| {
                let started = Instant::now();
                run();
                if round >= 5 {
                    times[index].push(started.elapsed().as_secs_f64() * 1e3);
                }
            };
            time(0, &mut || drop(Command::new(&file).args(["-c", "print('hello')"]).output()));
            time(1, &mut || drop(bare(&mut executor, &plan)));
            time(2, &mut || assert!(executor.run(&plan).unwrap().ok()));
            time(3, &mut || assert!(executor.run(&value).unwrap().ok()));
            time(4, &mut || assert!(!executor.run(&failing).unwrap().ok()));
        }
        let show: Vec<String> = times
            .iter_mut()
            .map(|list| {
                list.sort_by(f64::total_cmp);
                format!("{:6.2} {:6.2}", list[0], list[list.len() / 2])
            })
            .collect();
        println!(
            "{}: min median ms: host -c {} | sandbox -c {} | print {} | value {} | error {}",
            file.display(),
            show[0],
            show[1],
            show[2],
            show[3],
            show[4]
        );
    }
}
