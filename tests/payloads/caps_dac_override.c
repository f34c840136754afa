// escape: read a file in a grant that belongs to another user and is closed to us
// layer: capabilities
// needs: root
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = open(in("ro", "foreign.txt"), O_RDONLY);
    if (fd < 0) blocked("open");
    must_read_canary(fd, "root's privilege");
}
