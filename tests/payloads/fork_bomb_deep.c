// escape: more processes than allowed, each the child of the one before and in a session of its own
// layer: tasks
// outside: works
#include "payload.h"

static void attempt(void) {
    int *made = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (made == MAP_FAILED) blocked("mmap");
    pid_t child = fork();
    if (child < 0) blocked("fork");
    if (child) {
        reap(child);
        errno = made[1];
        say("%d processes\n", made[0]);
        if (made[0] < 200) blocked("fork");
        worked("200 processes");
    }
    for (;;) {
        setsid();
        if (__atomic_add_fetch(&made[0], 1, __ATOMIC_SEQ_CST) >= 200) _exit(0);
        child = fork();
        if (child < 0) made[1] = errno;
        if (child) {
            if (child > 0) waitpid(child, NULL, 0);
            _exit(0);
        }
    }
}
