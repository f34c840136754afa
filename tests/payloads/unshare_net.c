// escape: a network namespace, with interfaces and firewall of its own
// layer: seccomp, capabilities
// needs: root
// outside: works
#include "payload.h"

static void attempt(void) {
    if (unshare(CLONE_NEWNET) < 0) blocked("unshare(CLONE_NEWNET)");
    worked("unshared the network");
}
