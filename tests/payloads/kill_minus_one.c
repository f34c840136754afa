// escape: signal every process there is; the victim must not notice
// layer: landlock, guard
// outside: skip it would reach every process of the machine
#include "payload.h"

static void attempt(void) {
    pid_t child = fork(); // somebody to reach, so that success means something
    if (child < 0) blocked("fork");
    if (!child) {
        pause();
        _exit(0);
    }
    if (kill(-1, SIGURG) < 0) blocked("kill(-1)");
    int hit = pending(number("vpid"), SIGURG);
    kill(child, SIGKILL);
    if (hit == 1) worked("the victim has the signal");
    no_effect("kill(-1), as far as can be seen from here,");
}
