// escape: join a process group outside, to share its terminal signals
// layer: lockdown
// outside: works
#include "payload.h"

static void attempt(void) {
    if (setpgid(0, victim()) < 0) blocked("setpgid");
    worked("joined the victim's group");
}
