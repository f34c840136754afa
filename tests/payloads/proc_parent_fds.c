// escape: open the descriptors of its parent, which may be the sandbox's own guard
// layer: landlock
// grant: /proc
// outside: works
#include "payload.h"

static void attempt(void) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd", getppid());
    if (!opendir(path)) blocked_unless_yama("opendir");
    worked("listed them");
}
