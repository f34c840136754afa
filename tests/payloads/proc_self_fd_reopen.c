// escape: reopen a read-only descriptor for writing by /proc/self/fd
// layer: landlock
// grant: /proc
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = open(in("ro", "file.txt"), O_RDONLY);
    if (fd < 0) blocked("open for reading");
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    if (open(name, O_RDWR) < 0) blocked("open for writing");
    worked("it is open for writing");
}
