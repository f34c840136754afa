// escape: hand its child to whoever traces it
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    pid_t child = syscall(SYS_clone, CLONE_PTRACE | SIGCHLD, 0, 0, 0, 0);
    if (child < 0) blocked("clone(CLONE_PTRACE)");
    if (!child) _exit(0);
    reap(child);
    worked("clone(CLONE_PTRACE)");
}
