// escape: change a terminal's line discipline, the way into much old kernel code
// layer: landlock, seccomp
// outside: works
#include "payload.h"

#include "terminal.h"

static void attempt(void) {
    int discipline = 0; // N_TTY, which it has: changes nothing
    if (ioctl(terminal(), 0x5423 /* TIOCSETD */, &discipline) < 0) blocked("ioctl(TIOCSETD)");
    worked("set the discipline");
}
