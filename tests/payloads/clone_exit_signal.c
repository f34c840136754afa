// escape: a child whose death sends its parent a signal of choice
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGUSR2);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    pid_t child = syscall(SYS_clone, SIGUSR2, 0, 0, 0, 0);
    if (child < 0) blocked("clone with exit signal SIGUSR2");
    if (!child) _exit(0);
    reap(child);
    struct timespec limit = {1, 0};
    if (sigtimedwait(&mask, NULL, &limit) < 0) no_effect("the exit signal");
    worked("got SIGUSR2");
}
