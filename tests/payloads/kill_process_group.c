// escape: signal a process group outside
// layer: landlock, guard
// outside: works
#include "payload.h"

static void attempt(void) {
    if (kill(-victim(), SIGTERM) < 0) blocked("kill of a group");
    worked("kill of a group");
}
