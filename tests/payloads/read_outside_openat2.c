// escape: read a file outside by openat2
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    struct { uint64_t flags, mode, resolve; } how = {O_RDONLY};
    int fd = syscall(NR_openat2, AT_FDCWD, in("out", "secret.txt"), &how, sizeof how);
    if (fd < 0) blocked("openat2");
    must_read_canary(fd, "openat2");
}
