// escape: signal a thread outside by tgkill
// layer: landlock, guard
// outside: works
#include "payload.h"

static void attempt(void) {
    int pid = victim();
    if (syscall(SYS_tgkill, pid, pid, SIGTERM) < 0) blocked("tgkill");
    worked("tgkill");
}
