// escape: join other groups
// layer: seccomp, capabilities
// needs: root
// outside: works
#include "payload.h"

static void attempt(void) {
    gid_t group = 12345;
    if (syscall(SYS_setgroups, 1, &group) < 0) blocked("setgroups");
    worked("in another group");
}
