// escape: make a block device in the workspace, the way to raw disks
// layer: seccomp, capabilities
// needs: root
// outside: works
#include "payload.h"

static void attempt(void) {
    if (mknod(join("ws", "disk"), S_IFBLK | 0600, 7 << 8 | 0) < 0) blocked("mknod(S_IFBLK)");
    worked("made a loop device");
}
