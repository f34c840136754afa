// escape: change the mode of a file that may only be read, by a descriptor
// layer: guard
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = open(in("ro", "file.txt"), O_RDONLY);
    if (fd < 0) blocked("open");
    if (fchmod(fd, 0600) < 0) blocked("fchmod");
    worked("fchmod");
}
