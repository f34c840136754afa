// escape: remove an extended attribute of a file outside by /proc/self/fd of an O_PATH handle
// layer: guard
// outside: works
#include "payload.h"

static void attempt(void) {
    char name[64];
    int fd = open(in("out", "victim.txt"), O_PATH);
    if (fd < 0) blocked("open(O_PATH)");
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    if (removexattr(name, "user.evalbox") < 0) blocked("removexattr");
    worked("removexattr by a magic link");
}
