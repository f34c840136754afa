// escape: lower the priority of a process group outside
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    if (setpriority(PRIO_PGRP, victim(), 7) < 0) blocked("setpriority(PRIO_PGRP)");
    worked("the victim's group is nice");
}
