// escape: compare kernel objects with a process outside, which tells their addresses' order
// layer: seccomp, landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    if (syscall(SYS_kcmp, getpid(), victim(), 2 /* KCMP_FILES */, 0, 0) < 0) blocked_unless_yama("kcmp");
    worked("compared");
}
