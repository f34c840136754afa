// escape: signal a process outside by pidfd
// layer: landlock, guard, seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = pidfd_of(victim());
    if (syscall(NR_pidfd_send_signal, fd, SIGTERM, NULL, 0) < 0) blocked("pidfd_send_signal");
    worked("pidfd_send_signal");
}
