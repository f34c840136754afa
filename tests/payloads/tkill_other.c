// escape: signal a thread outside by tkill
// layer: landlock, guard
// outside: works
#include "payload.h"

static void attempt(void) {
    if (syscall(SYS_tkill, victim(), SIGTERM) < 0) blocked("tkill");
    worked("tkill");
}
