// escape: signal its parent, which may be the sandbox's own guard
// layer: landlock, guard
// outside: works
#include "payload.h"

static void attempt(void) {
    if (getppid() <= 0) no_effect("looking for the parent");
    if (kill(getppid(), SIGURG) < 0) blocked("kill of the parent");
    worked("kill of the parent");
}
