// escape: open the memory of its parent, which may be the sandbox's own guard
// layer: landlock
// grant: /proc
// outside: works
#include "payload.h"

static void attempt(void) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/mem", getppid());
    if (open(path, O_RDWR) < 0) blocked_unless_yama("open");
    worked("it is open");
}
