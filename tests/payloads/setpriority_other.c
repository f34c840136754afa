// escape: lower the priority of a process outside
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    if (setpriority(PRIO_PROCESS, victim(), 7) < 0) blocked("setpriority");
    worked("the victim is nice");
}
