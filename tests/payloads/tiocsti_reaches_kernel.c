// escape: is TIOCSTI refused before the kernel looks at the descriptor? ENOTTY from a pipe says no
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    int ends[2];
    if (pipe(ends) < 0) blocked("pipe");
    ioctl(ends[0], TIOCSTI, " ");
    if (errno != ENOTTY) blocked("ioctl(TIOCSTI)");
    worked("only the lack of a terminal stopped it");
}
