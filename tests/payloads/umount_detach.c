// escape: uncover what a mount hides
// layer: seccomp, capabilities
// needs: root
// outside: works
#include "payload.h"

static void attempt(void) {
    // Not a mount point, so EINVAL says that it would have been done.
    if (umount2(arg("ws"), MNT_DETACH) < 0 && errno != EINVAL) blocked("umount2");
    worked("umount2 is open");
}
