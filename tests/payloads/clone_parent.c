// escape: make its child a child of its parent, who never asked for it
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    pid_t middle = fork(); // the one whose parent gets a child is us, so nothing is left behind
    if (middle < 0) blocked("fork");
    if (!middle) {
        pid_t child = syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0);
        _exit(child < 0 ? errno : 0);
    }
    errno = reap(middle);
    if (errno) blocked("clone(CLONE_PARENT)");
    if (waitpid(-1, NULL, 0) < 0) no_effect("CLONE_PARENT");
    worked("got a grandchild as a child");
}
