// escape: an io_uring, whose operations no system call filter sees
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    char params[120] = {0};
    int fd = syscall(NR_io_uring_setup, 4, params);
    if (fd < 0) {
        int error = errno;
        if (setting("/proc/sys/kernel/io_uring_disabled", 0) > (geteuid() ? 0 : 1)) skip("io_uring is disabled here");
        errno = error;
        blocked("io_uring_setup");
    }
    worked("made a ring (fd %d)", fd);
}
