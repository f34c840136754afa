// escape: restart the machine
// layer: seccomp, capabilities
// needs: root
// outside: works
#include "payload.h"

static void attempt(void) {
    // An unknown command, so EINVAL says that a known one would have been done.
    if (syscall(SYS_reboot, 0xfee1dead, 672274793, 0xdeadbeef, NULL) < 0 && errno != EINVAL) blocked("reboot");
    worked("reboot is open");
}
