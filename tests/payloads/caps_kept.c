// escape: still have capabilities
// layer: capabilities
// needs: root
// outside: works
#include "payload.h"

static void attempt(void) {
    struct { uint32_t version; int pid; } header = {0x20080522, 0};
    struct { uint32_t effective, permitted, inheritable; } caps[2] = {0};
    if (syscall(SYS_capget, &header, caps) < 0) blocked("capget");
    if (!(caps[0].effective | caps[1].effective | caps[0].permitted | caps[1].permitted)) no_effect("looking for capabilities");
    worked("%08x%08x are effective", caps[1].effective, caps[0].effective);
}
