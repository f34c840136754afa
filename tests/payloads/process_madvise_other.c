// escape: page out the memory of a process outside
// layer: seccomp, landlock
// needs: root
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = pidfd_of(victim());
    struct iovec there = {(void *)strtoul(arg("vstack"), NULL, 16), 4096};
    if (syscall(NR_process_madvise, fd, &there, 1, 20 /* MADV_COLD */, 0) < 0) blocked("process_madvise");
    worked("advised it");
}
