// escape: set an extended attribute of a file outside by /proc/self/fd of an O_PATH handle
// layer: guard
// outside: works
#include "payload.h"

static void attempt(void) {
    char name[64];
    int fd = open(in("out", "victim.txt"), O_PATH);
    if (fd < 0) blocked("open(O_PATH)");
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    if (setxattr(name, "user.escape", "1", 1, 0) < 0) blocked("setxattr");
    worked("setxattr by a magic link");
}
