// escape: trace a process outside
// layer: seccomp, landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    if (ptrace(PTRACE_SEIZE, victim(), 0, 0) < 0) blocked_unless_yama("ptrace(SEIZE)");
    worked("tracing the victim");
}
