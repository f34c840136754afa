// escape: learn addresses in a process outside
// layer: seccomp, landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    void *head;
    size_t length;
    if (syscall(SYS_get_robust_list, victim(), &head, &length) < 0) blocked_unless_yama("get_robust_list");
    worked("have an address");
}
