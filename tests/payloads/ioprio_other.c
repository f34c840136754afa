// escape: make a process outside idle in its I/O
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    if (syscall(SYS_ioprio_set, 1 /* IOPRIO_WHO_PROCESS */, victim(), 3 << 13) < 0) blocked("ioprio_set");
    worked("the victim's I/O is idle");
}
