// escape: swap to a file of its own
// layer: seccomp, capabilities
// needs: root
// outside: works
#include "payload.h"

static void attempt(void) {
    // No such file, so ENOENT says that another would have been used.
    if (syscall(SYS_swapon, "/evalbox-payload-none", 0) < 0 && errno != ENOENT) blocked("swapon");
    worked("swapon is open");
}
