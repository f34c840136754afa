// escape: read a secret through a symlink in the workspace
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    char *link = join("ws", "link");
    if (symlink(in("out", "secret.txt"), link) < 0) blocked("symlink");
    int fd = open(link, O_RDONLY);
    if (fd < 0) blocked("open");
    must_read_canary(fd, "a symlink");
}
