// escape: read the kernel's log
// layer: seccomp, capabilities
// needs: root
// outside: works
#include "payload.h"

static void attempt(void) {
    char text[256];
    if (syscall(SYS_syslog, 3 /* READ_ALL */, text, sizeof text) < 0) blocked("syslog");
    worked("read it");
}
