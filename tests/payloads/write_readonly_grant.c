// escape: write to a file that may only be read
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = open(in("ro", "file.txt"), O_RDWR);
    if (fd < 0) blocked("open(O_RDWR)");
    if (write(fd, "x", 1) != 1) blocked("write");
    worked("wrote to it");
}
