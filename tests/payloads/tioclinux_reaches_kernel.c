// escape: is TIOCLINUX (paste into a console) refused before the kernel looks at the descriptor?
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    int ends[2];
    if (pipe(ends) < 0) blocked("pipe");
    ioctl(ends[0], 0x541C /* TIOCLINUX */, "\3");
    if (errno != ENOTTY) blocked("ioctl(TIOCLINUX)");
    worked("only the lack of a console stopped it");
}
