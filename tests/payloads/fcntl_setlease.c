// escape: a lease on a file, which stalls whoever opens it next, a guard for instance
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    own_file("leased", 0644);
    int fd = open(join("ws", "leased"), O_RDONLY);
    if (fd < 0) blocked("open");
    if (fcntl(fd, F_SETLEASE, F_RDLCK) < 0) {
        // The writable descriptor above forbids a read lease, if the kernel gets to look.
        if (errno != EAGAIN) blocked("fcntl(F_SETLEASE)");
    }
    worked("fcntl(F_SETLEASE) is open");
}
