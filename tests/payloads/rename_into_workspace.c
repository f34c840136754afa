// escape: move a secret from outside into the workspace, where it may be read
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    if (rename(in("out", "secret.txt"), join("ws", "stolen")) < 0) blocked("rename");
    int fd = open(join("ws", "stolen"), O_RDONLY);
    if (fd < 0) blocked("open");
    must_read_canary(fd, "moving it into the workspace");
}
