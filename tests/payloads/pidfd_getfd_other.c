// escape: take a descriptor out of a process outside
// layer: seccomp, landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = syscall(NR_pidfd_getfd, pidfd_of(victim()), 0, 0);
    if (fd < 0) blocked_unless_yama("pidfd_getfd");
    worked("have the victim's stdin");
}
