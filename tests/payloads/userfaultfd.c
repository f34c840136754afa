// escape: stop the kernel in the middle of a copy, the favourite tool of exploits
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = syscall(SYS_userfaultfd, 1 /* UFFD_USER_MODE_ONLY */ | O_CLOEXEC);
    if (fd < 0) blocked("userfaultfd");
    worked("have one (fd %d)", fd);
}
