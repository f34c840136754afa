// escape: learn the memory layout of a process outside
// layer: landlock
// grant: /proc
// outside: works
#include "payload.h"

static void attempt(void) {
    char path[64], text[64];
    snprintf(path, sizeof path, "/proc/%d/maps", victim());
    int fd = open(path, O_RDONLY);
    if (fd < 0) blocked_unless_yama("open");
    if (read(fd, text, sizeof text) <= 0) blocked("read");
    worked("read its maps");
}
