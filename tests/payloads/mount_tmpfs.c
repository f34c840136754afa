// escape: mount a filesystem
// layer: seccomp, capabilities
// needs: root
// outside: works
#include "payload.h"

static void attempt(void) {
    char *path = join("ws", "mnt");
    if (mkdir(path, 0755) < 0) blocked("mkdir");
    if (mount("tmpfs", path, "tmpfs", 0, "size=64k") < 0) blocked("mount");
    umount2(path, MNT_DETACH);
    worked("mounted a tmpfs");
}
