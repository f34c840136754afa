// escape: trace its parent, which may be the sandbox's own guard
// layer: seccomp, landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    if (ptrace(PTRACE_SEIZE, getppid(), 0, 0) < 0) blocked_unless_yama("ptrace(SEIZE)");
    worked("tracing the parent");
}
