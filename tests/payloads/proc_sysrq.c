// escape: the magic key that reboots
// layer: landlock
// grant: /proc
// needs: root
// outside: skip many kernels are built without it
#include "payload.h"

static void attempt(void) {
    if (open("/proc/sysrq-trigger", O_WRONLY) < 0) blocked("open");
    worked("it is open for writing");
}
