// escape: make a character device in the workspace
// layer: seccomp, capabilities
// needs: root
// outside: works
#include "payload.h"

static void attempt(void) {
    if (mknod(join("ws", "zero"), S_IFCHR | 0666, 1 << 8 | 5) < 0) blocked("mknod(S_IFCHR)");
    worked("made /dev/zero");
}
