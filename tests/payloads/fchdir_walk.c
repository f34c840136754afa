// escape: change directory to the outside, then open by a relative name
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    int dir = open(arg("out"), O_PATH | O_DIRECTORY);
    if (dir < 0) blocked("open(O_PATH)");
    if (fchdir(dir) < 0) blocked("fchdir");
    int fd = open("secret.txt", O_RDONLY);
    if (fd < 0) blocked("open");
    must_read_canary(fd, "fchdir");
}
