// escape: change the times of a file outside by /proc/self/fd of an O_PATH handle
// layer: guard
// outside: works
#include "payload.h"

static void attempt(void) {
    struct timespec times[2] = {{1, 0}, {1, 0}};
    char name[64];
    int fd = open(in("out", "victim.txt"), O_PATH);
    if (fd < 0) blocked("open(O_PATH)");
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    if (utimensat(AT_FDCWD, name, times, 0) < 0) blocked("utimensat");
    worked("utimensat by a magic link");
}
