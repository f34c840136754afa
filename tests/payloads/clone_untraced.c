// escape: a child that no tracer may follow
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    pid_t child = syscall(SYS_clone, CLONE_UNTRACED | SIGCHLD, 0, 0, 0, 0);
    if (child < 0) blocked("clone(CLONE_UNTRACED)");
    if (!child) _exit(0);
    reap(child);
    worked("clone(CLONE_UNTRACED)");
}
