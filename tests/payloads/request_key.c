// escape: look for a key, or have the kernel ask a program outside for it
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    long key = syscall(SYS_request_key, "user", "evalbox-payload-none", NULL, 0);
    if (key < 0 && errno != ENOKEY) blocked("request_key");
    worked("the kernel looked for it");
}
