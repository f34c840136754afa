// escape: TIOCSTI with garbage above 32 bits: the kernel drops it, a filter on 64 bits doesn't match (CVE-2019-10063)
// layer: landlock, seccomp
// outside: works
#include "payload.h"

#include "terminal.h"

static void attempt(void) {
    int fd = terminal();
    if (syscall(SYS_ioctl, (long)fd, (long)TIOCSTI | 1L << 40, " ") < 0) {
        int error = errno;
        if (geteuid() && setting("/proc/sys/dev/tty/legacy_tiocsti", 1) == 0) skip("TIOCSTI is disabled here");
        errno = error;
        blocked("ioctl(TIOCSTI)");
    }
    worked("typed a blank");
}
