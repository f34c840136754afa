// escape: pin a process outside to one processor
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    cpu_set_t all, one;
    CPU_ZERO(&one);
    if (sched_getaffinity(0, sizeof all, &all) < 0) blocked("sched_getaffinity");
    if (CPU_COUNT(&all) < 2) skip("one processor only");
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET(cpu, &all)) {
            CPU_SET(cpu, &one);
            break;
        }
    if (sched_setaffinity(victim(), sizeof one, &one) < 0) blocked("sched_setaffinity");
    worked("the victim is pinned");
}
