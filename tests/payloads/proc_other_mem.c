// escape: read the memory of a process outside by /proc
// layer: landlock
// grant: /proc
// outside: works
#include "payload.h"

static void attempt(void) {
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/%d/mem", victim());
    int fd = open(path, O_RDONLY);
    if (fd < 0) blocked_unless_yama("open");
    ssize_t n = pread(fd, text, sizeof text, strtoul(arg("vstack"), NULL, 16));
    if (n < 0) blocked("pread");
    if (!memmem(text, n, "CANARY-VICTIM", 13)) no_effect("reading mem");
    worked("read its secret");
}
