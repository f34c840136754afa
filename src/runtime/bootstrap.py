# Runs the program named by argv[1] as `__main__`, and leaves the value of its last expression or
# the exception that ended it in the workspace, as runtime/python.rs reads it.
#
# Compiled once by the interpreter that is to run it, when it is asked what it is, and then given to
# each `python -c` as an argument. So none of its names are seen by the program. It imports only
# what is built in, as far as it can: every import costs time, and the program's own files could
# shadow the rest. Python 3.8 and newer.
import posix
import sys

MOST = 1 << 20
# The bits of co_flags that `from __future__` sets.
FUTURE = 0x1FF0000

path = sys.argv[1]
workspace = path.rpartition("/")[0]
process = posix.getpid()
main = sys.modules["__main__"].__dict__
display = sys.__excepthook__


def prepare():
    sys.argv = sys.argv[1:]
    if hasattr(sys, "orig_argv"):
        sys.orig_argv = [sys.executable, *sys.argv]
    # Not there with PYTHONSAFEPATH, which asks for just that.
    if sys.path[:1] == [""]:
        sys.path[0] = workspace
    main["__file__"] = path
    main["__cached__"] = None
    loader = getattr(sys.modules.get("_frozen_importlib_external"), "SourceFileLoader", None)
    if loader is not None:
        main["__loader__"] = loader("__main__", path)
    # What was printed before a timeout must not be lost in a buffer.
    if sys.stdout is not None:
        sys.stdout.reconfigure(line_buffering=True)


def load():
    """The program without its last expression, and the expression, if it ends in one."""
    if b"\0" in source:
        # What compile() says of it differs between versions.
        raise SyntaxError("source code cannot contain null bytes")
    tree = compile(source, path, "exec", 0x400, True)  # PyCF_ONLY_AST
    body = tree.body
    if not body or type(body[-1]).__name__ != "Expr" or silenced(body[-1]):
        return compile(tree, path, "exec", 0, True), None
    from _ast import Expression

    last = Expression(body.pop().value)
    code = compile(tree, path, "exec", 0, True)
    # `from __future__` holds for the expression as well.
    return code, compile(last, path, "eval", code.co_flags & FUTURE, True)


def silenced(last):
    """Whether there is a semicolon after the last expression."""
    if b";" not in source:
        return False
    lines = source.splitlines()
    line = lines[last.end_lineno - 1]
    if last.end_lineno == 1 and line[:3] == b"\xef\xbb\xbf":
        line = line[3:]
    if not line.isascii() and b"coding" in b"".join(lines[:2]):
        # The column is one of UTF-8, whatever the file is written in.
        from tokenize import detect_encoding

        line = line.decode(detect_encoding(iter(lines[:2]).__next__)[0]).encode()
    rest = b"\n".join([line[last.end_col_offset :], *lines[last.end_lineno :]])
    return rest.lstrip(b" \t\f)\\\r\n").startswith(b";")


def report(**fields):
    # A child that was forked off has no say in what the program's value is.
    if posix.getpid() != process:
        return
    data = [b"evalbox1"]
    for tag, text in fields.items():
        if isinstance(text, str):
            # Characters first: encoding a gigabyte to cut it would be the second gigabyte.
            text = text[: MOST + 1].encode("utf-8", "backslashreplace")
        if len(text) > MOST:
            text = text[: MOST - 3].decode("utf-8", "ignore").encode() + b"\xe2\x80\xa6"
        data += [tag.encode(), len(text).to_bytes(4, "little"), text]
    data = b"".join(data)
    try:
        flags = posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC | posix.O_CLOEXEC
        file = posix.open(workspace + "/.evalbox-result", flags, 0o600)
        try:
            while data:
                data = data[posix.write(file, data) :]
        finally:
            posix.close(file)
    except OSError:
        pass


def show(value):
    try:
        text = repr(value)
    except Exception as error:
        text = "<repr() of %s failed: %s>" % (type(value).__name__, name(type(error)))
    report(V=text)


def name(kind):
    # A class may say anything of itself.
    try:
        module, qualified = str(kind.__module__), str(kind.__qualname__)
    except Exception:
        return type.__dict__["__name__"].__get__(kind)
    return qualified if module in ("builtins", "__main__") else "%s.%s" % (module, qualified)


def own(trace):
    """The traceback without the frames of this file."""
    while trace is not None and trace.tb_frame.f_code.co_filename in ("<evalbox>", "<string>"):
        trace = trace.tb_next
    return trace


class Sink:
    def __init__(self):
        self.text = []

    def write(self, text):
        self.text.append(text)

    def flush(self):
        pass


def described(kind, error):
    """What Python would print."""
    if unchanged():
        # Some versions do it in C, ten times as fast as importing `traceback`.
        stderr, sink = sys.stderr, Sink()
        sys.stderr = sink
        try:
            display(kind, error, error.__traceback__)
        finally:
            sys.stderr = stderr
        return "".join(sink.text)
    import linecache
    import traceback

    # The lines that ran, and not those of a file that the program has written.
    lines = [line.decode("utf-8", "replace") for line in source.splitlines(True)]
    linecache.cache[path] = len(source), None, lines, path
    return "".join(traceback.format_exception(kind, error, error.__traceback__))


def unchanged():
    try:
        with open(path, "rb") as file:
            return file.read() == source
    except OSError:
        return False


def failed(error):
    kind = type(error)
    try:
        message = str(error)
    except BaseException:
        message = "<str() of the exception failed>"
    text = None
    before = sys.path
    try:
        # Not the program's traceback.py.
        sys.path = [entry for entry in before if entry not in ("", ".", workspace)]
        text = described(kind, error.with_traceback(own(error.__traceback__)))
        text = text.replace('File "%s/' % workspace, 'File "')
    except BaseException:
        pass
    finally:
        sys.path = before
    report(K=name(kind), M=message, T=text or "%s: %s\n" % (name(kind), message), **refused(error))

    hook = sys.excepthook

    # Called by the interpreter, which then also sets the exit code, and for KeyboardInterrupt ends
    # itself by the signal.
    def excepthook(kind, error, trace):
        trace = own(trace)
        if hook is display and text:
            sys.stderr.write(text)
            sys.stderr.flush()
        else:
            hook(kind, error.with_traceback(trace), trace)

    sys.excepthook = excepthook


def refused(error):
    """The grant that was missing, as far as it can be told from inside."""
    if not isinstance(error, OSError) or error.errno not in (1, 13):
        return {}
    import os

    try:
        where = os.path.abspath(os.fsencode(error.filename))
        kind, grant = missing(os, error, where)
    except (TypeError, ValueError, OSError):
        return {}
    return {"E": str(error.errno), "P": where, "A": kind, "G": grant}


def missing(os, error, where):
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_name == "_execute_child":
            return "execute", where if os.access(where, os.X_OK) else b""
        trace = trace.tb_next
    # access() asks for the rights of the user, open() also for those of the sandbox. Where the
    # user has no right, no grant would help.
    try:
        os.close(os.open(where, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC))
    except PermissionError:
        return "read", where if os.access(where, os.R_OK) else b""
    except FileNotFoundError:
        where = os.path.dirname(where)
    return "write", where if os.access(where, os.W_OK) else b""


try:
    prepare()
    with open(path, "rb") as file:
        source = file.read()
    code, last = load()
    exec(code, main)
    if last is not None:
        value = eval(last, main)
        if value is not None:
            show(value)
        del value
except SystemExit:
    raise
except BaseException as error:
    try:
        failed(error)
    except BaseException:
        # Out of memory, say. There is no report then, and Python shows the exception by itself.
        pass
    raise
