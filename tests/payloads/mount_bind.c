// escape: bind a directory outside into the workspace
// layer: seccomp, capabilities
// needs: root
// outside: works
#include "payload.h"

static void attempt(void) {
    char *path = join("ws", "mnt");
    in("out", "secret.txt");
    if (mkdir(path, 0755) < 0) blocked("mkdir");
    if (mount(arg("out"), path, NULL, MS_BIND, NULL) < 0) blocked("mount(MS_BIND)");
    int readable = open(join("ws", "mnt/secret.txt"), O_RDONLY) >= 0;
    umount2(path, MNT_DETACH);
    if (!readable) no_effect("the bind mount");
    worked("read through it");
}
