// escape: segments of its own, the way into code seldom read
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
#ifdef __x86_64__
    char table[64];
    if (syscall(SYS_modify_ldt, 0, table, sizeof table) < 0) blocked("modify_ldt");
    worked("read the table");
#else
    skip("x86_64 only");
#endif
}
