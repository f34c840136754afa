// escape: talk to the machine's console
// layer: landlock, seccomp
// needs: root
// outside: works
#include "payload.h"

static void attempt(void) {
    if (access("/dev/tty0", F_OK) < 0 && errno == ENOENT) skip("this machine has no console");
    int fd = open("/dev/tty0", O_RDWR | O_NOCTTY);
    if (fd < 0) blocked("open(/dev/tty0)");
    char ask[] = {6 /* shift state, changes nothing */, 0};
    if (ioctl(fd, 0x541C /* TIOCLINUX */, ask) < 0) blocked("ioctl(TIOCLINUX)");
    worked("the console answered");
}
