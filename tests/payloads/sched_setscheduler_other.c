// escape: change the scheduling of a process outside
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    struct sched_param none = {0};
    if (sched_setscheduler(victim(), SCHED_BATCH, &none) < 0) blocked("sched_setscheduler");
    worked("the victim is in SCHED_BATCH");
}
