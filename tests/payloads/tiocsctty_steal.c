// escape: take a terminal as its own controlling terminal
// layer: landlock, seccomp
// outside: works
#include "payload.h"

#include "terminal.h"

static void attempt(void) {
    pid_t child = fork();
    if (child < 0) blocked("fork");
    if (!child) {
        setsid();
        int fd = own_terminal();
        if (fd < 0) blocked("open of a terminal");
        if (ioctl(fd, TIOCSCTTY, 0) < 0) blocked("ioctl(TIOCSCTTY)");
        _exit(0);
    }
    int code = reap(child);
    if (code) _exit(1);
    worked("it has a terminal");
}
