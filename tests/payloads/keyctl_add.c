// escape: put a key into the kernel's keyrings, which sandboxes of a user share
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    long key = syscall(SYS_add_key, "user", "evalbox-payload", "x", 1, -2 /* KEY_SPEC_PROCESS_KEYRING */);
    if (key < 0) blocked("add_key");
    worked("added key %ld", key);
}
