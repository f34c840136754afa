// escape: enter the namespaces of another process
// layer: seccomp, capabilities
// needs: root
// outside: works
#include "payload.h"

static void attempt(void) {
    if (setns(pidfd_of(victim()), CLONE_NEWUTS) < 0) blocked("setns");
    worked("entered the victim's");
}
