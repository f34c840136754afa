// escape: append to a file outside
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = open(in("out", "victim.txt"), O_WRONLY | O_APPEND);
    if (fd < 0) blocked("open");
    if (write(fd, "x", 1) != 1) blocked("write");
    worked("wrote to it");
}
