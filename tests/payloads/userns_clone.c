// escape: a child in a user namespace
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    pid_t child = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);
    if (child < 0) blocked_unless_no_userns("clone(CLONE_NEWUSER)");
    if (!child) _exit(0);
    reap(child);
    worked("had a child in a user namespace");
}
