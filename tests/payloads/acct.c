// escape: have the kernel write to a file of its choice
// layer: seccomp, capabilities
// needs: root
// outside: works
#include "payload.h"

static void attempt(void) {
    if (acct("/evalbox-payload-none") < 0 && errno != ENOENT) blocked("acct");
    worked("acct is open");
}
