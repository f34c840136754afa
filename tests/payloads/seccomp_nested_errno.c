// escape: a filter of its own that refuses calls with an errno, installed by prctl
// layer: seccomp
// outside: works
#include "payload.h"

#include <linux/filter.h>

static void attempt(void) {
    struct sock_filter rules[] = {
        {0x20 /* LD nr */, 0, 0, 0},
        {0x15 /* JEQ */, 0, 1, SYS_getppid},
        {0x06 /* RET */, 0, 0, 0x00050000 /* ERRNO */ | 99},
        {0x06, 0, 0, 0x7fff0000 /* ALLOW */},
    };
    struct sock_fprog program = {4, rules};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, 2 /* FILTER */, &program) < 0) blocked("prctl(PR_SET_SECCOMP)");
    if (syscall(SYS_getppid) != -1 || errno != 99) no_effect("the filter");
    worked("the filter answers");
}
