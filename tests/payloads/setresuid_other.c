// escape: become another user
// layer: seccomp, capabilities
// needs: root
// outside: works
#include "payload.h"

static void attempt(void) {
    if (syscall(SYS_setresuid, 12345, 12345, 12345) < 0) blocked("setresuid");
    worked("running as another user");
}
