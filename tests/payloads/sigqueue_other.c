// escape: queue a signal with a value for a process outside
// layer: landlock, guard, seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    if (sigqueue(victim(), SIGUSR1, (union sigval){.sival_int = 1}) < 0) blocked("sigqueue");
    worked("sigqueue");
}
