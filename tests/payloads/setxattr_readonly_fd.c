// escape: set an extended attribute of a file that may only be read, by a descriptor
// layer: guard
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = open(in("ro", "file.txt"), O_RDONLY);
    if (fd < 0) blocked("open");
    if (fsetxattr(fd, "user.escape", "1", 1, 0) < 0) blocked("fsetxattr");
    worked("fsetxattr");
}
