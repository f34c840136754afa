// escape: make its parent its tracer
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    pid_t child = fork();
    if (child < 0) blocked("fork");
    if (!child) _exit(ptrace(PTRACE_TRACEME, 0, 0, 0) < 0 ? errno : 0);
    errno = reap(child);
    if (errno) blocked("ptrace(TRACEME)");
    worked("ptrace(TRACEME)");
}
