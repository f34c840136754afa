// escape: type into a terminal: /dev/tty, the standard streams, or one it opens itself
// layer: landlock, seccomp
// outside: works
#include "payload.h"

#include "terminal.h"

static void attempt(void) {
    int fd = terminal();
    if (ioctl(fd, TIOCSTI, " ") < 0) {
        int error = errno;
        if (geteuid() && setting("/proc/sys/dev/tty/legacy_tiocsti", 1) == 0) skip("TIOCSTI is disabled here");
        errno = error;
        blocked("ioctl(TIOCSTI)");
    }
    worked("typed a blank");
}
