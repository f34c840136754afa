// escape: a child in a user namespace by clone3, whose flags hide behind a pointer
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    struct { uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, size, tls; } how = {
        .flags = CLONE_NEWUSER, .exit_signal = SIGCHLD};
    pid_t child = syscall(NR_clone3, &how, sizeof how);
    if (child < 0) blocked_unless_no_userns("clone3");
    if (!child) _exit(0);
    reap(child);
    worked("had a child in a user namespace");
}
