// escape: change the times of a file outside by an O_PATH handle and AT_EMPTY_PATH
// layer: guard, seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    struct timespec times[2] = {{1, 0}, {1, 0}};
    int fd = open(in("out", "victim.txt"), O_PATH);
    if (fd < 0) blocked("open(O_PATH)");
    if (utimensat(fd, "", times, AT_EMPTY_PATH) < 0) blocked("utimensat(AT_EMPTY_PATH)");
    worked("utimensat(AT_EMPTY_PATH)");
}
