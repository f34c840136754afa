// escape: reach a secret by the working directory of a process outside
// layer: landlock
// grant: /proc
// outside: works
#include "payload.h"

static void attempt(void) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/cwd/secret.txt", victim());
    int fd = open(path, O_RDONLY);
    if (fd < 0) blocked_unless_yama("open");
    must_read_canary(fd, "the victim's directory");
}
