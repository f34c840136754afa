// escape: change the times of a file that may only be read, by a descriptor
// layer: guard
// outside: works
#include "payload.h"

static void attempt(void) {
    struct timespec times[2] = {{1, 0}, {1, 0}};
    int fd = open(in("ro", "file.txt"), O_RDONLY);
    if (fd < 0) blocked("open");
    if (futimens(fd, times) < 0) blocked("futimens");
    worked("futimens");
}
