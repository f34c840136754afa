// escape: read a file outside every grant
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = open(in("out", "secret.txt"), O_RDONLY);
    if (fd < 0) blocked("open");
    must_read_canary(fd, "its path");
}
