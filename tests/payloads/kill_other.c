// escape: signal a process outside
// layer: landlock, guard
// outside: works
#include "payload.h"

static void attempt(void) {
    if (kill(victim(), SIGTERM) < 0) blocked("kill");
    worked("kill");
}
