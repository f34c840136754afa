// escape: make a process outside the first to die when memory runs out
// layer: landlock
// grant: /proc
// outside: works
#include "payload.h"

static void attempt(void) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/oom_score_adj", victim());
    int fd = open(path, O_WRONLY);
    if (fd < 0) blocked("open");
    if (write(fd, "500", 3) != 3) blocked("write");
    worked("the victim goes first");
}
