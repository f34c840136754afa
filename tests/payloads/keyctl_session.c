// escape: join the session keyring of whoever started the sandbox
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    long ring = syscall(SYS_keyctl, 0 /* KEYCTL_GET_KEYRING_ID */, -3 /* SESSION */, 0);
    if (ring < 0) blocked("keyctl");
    worked("have keyring %ld", ring);
}
