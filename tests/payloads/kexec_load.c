// escape: start another kernel
// layer: seccomp, capabilities
// needs: root
// outside: skip many kernels are built without it
#include "payload.h"

static void attempt(void) {
    // More segments than there can be, so EINVAL says that fewer would have been loaded.
    if (syscall(SYS_kexec_load, 0, 1000, NULL, 0) < 0 && errno != EINVAL) blocked("kexec_load");
    worked("kexec_load is open");
}
