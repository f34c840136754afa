// escape: more processes than allowed by vfork-like clones, which a counter of forks may miss
// layer: tasks
// outside: works
#include "payload.h"

static void attempt(void) {
    int made = 0, error = 0;
    for (; made < 200; made++) {
        pid_t child = syscall(SYS_clone, CLONE_FS | CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
        if (child < 0) {
            error = errno;
            break;
        }
        if (!child) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            pause();
            _exit(0);
        }
    }
    say("%d processes\n", made);
    errno = error;
    if (made < 200) blocked("clone");
    worked("200 processes");
}
