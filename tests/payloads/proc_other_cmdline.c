// escape: read the command line of a process outside
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    char path[64], text[64];
    snprintf(path, sizeof path, "/proc/%d/cmdline", victim());
    int fd = open(path, O_RDONLY);
    if (fd < 0) blocked("open");
    if (read(fd, text, sizeof text) <= 0) blocked("read");
    worked("read it");
}
