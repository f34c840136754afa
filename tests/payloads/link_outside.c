// escape: hard-link a secret into the workspace and read the link
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    if (link(in("out", "secret.txt"), join("ws", "link")) < 0) blocked("link");
    int fd = open(join("ws", "link"), O_RDONLY);
    if (fd < 0) blocked("open");
    must_read_canary(fd, "a hard link");
}
