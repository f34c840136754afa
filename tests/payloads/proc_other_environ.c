// escape: read the environment of a process outside
// layer: landlock
// grant: /proc
// outside: works
#include "payload.h"

static void attempt(void) {
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/%d/environ", victim());
    int fd = open(path, O_RDONLY);
    if (fd < 0) blocked_unless_yama("open");
    ssize_t n = read(fd, text, sizeof text);
    if (n < 0) blocked("read");
    if (!memmem(text, n, "CANARY-VICTIM", 13)) no_effect("reading environ");
    worked("read its secret");
}
