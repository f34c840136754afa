// escape: take an O_PATH handle of a file outside, then reopen the handle
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    int handle = open(in("out", "secret.txt"), O_PATH);
    if (handle < 0) blocked("open(O_PATH)");
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", handle);
    int fd = open(name, O_RDONLY);
    if (fd < 0) blocked("open of the handle");
    must_read_canary(fd, "reopening a handle");
}
