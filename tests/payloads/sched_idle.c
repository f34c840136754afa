// escape: become SCHED_IDLE, which makes a guard wait for a task that never runs
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    struct sched_param none = {0};
    if (sched_setscheduler(0, SCHED_IDLE, &none) < 0) blocked("sched_setscheduler");
    if (sched_getscheduler(0) != SCHED_IDLE) no_effect("SCHED_IDLE");
    worked("running as SCHED_IDLE");
}
