// escape: set the clock
// layer: seccomp, capabilities
// needs: root
// outside: works
#include "payload.h"

static void attempt(void) {
    // An impossible zone, so EINVAL says that a possible one would have been set.
    struct timezone zone = {99999, 0};
    if (syscall(SYS_settimeofday, NULL, &zone) < 0 && errno != EINVAL) blocked("settimeofday");
    worked("settimeofday is open");
}
