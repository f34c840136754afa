// escape: bend the clock
// layer: seccomp, capabilities
// needs: root
// outside: works
#include "payload.h"

#include <sys/timex.h>

static void attempt(void) {
    // An impossible tick, so EINVAL says that a possible one would have been set.
    struct timex change = {.modes = ADJ_TICK, .tick = 1};
    if (clock_adjtime(CLOCK_REALTIME, &change) < 0 && errno != EINVAL) blocked("clock_adjtime");
    worked("clock_adjtime is open");
}
