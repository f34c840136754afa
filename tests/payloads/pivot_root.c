// escape: exchange the root filesystem
// layer: seccomp, capabilities
// needs: root
// outside: works
#include "payload.h"

static void attempt(void) {
    // No such paths, so ENOENT says that it would have been done.
    if (syscall(SYS_pivot_root, "/evalbox-payload-none", "/evalbox-payload-none") < 0 && errno != ENOENT) blocked("pivot_root");
    worked("pivot_root is open");
}
