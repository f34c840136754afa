// escape: load a kernel module
// layer: seccomp, capabilities
// needs: root
// outside: skip not every kernel has modules
#include "payload.h"

static void attempt(void) {
    if (syscall(SYS_init_module, NULL, 0, "") < 0 && errno != ENOEXEC && errno != EFAULT) blocked("init_module");
    worked("init_module is open");
}
