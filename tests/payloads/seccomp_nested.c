// escape: a filter of its own in front of the sandbox's, to answer calls in its place
// layer: seccomp
// outside: works
#include "payload.h"

#include <linux/filter.h>

static void attempt(void) {
    struct sock_filter allow = {0x06 /* RET */, 0, 0, 0x7fff0000 /* ALLOW */};
    struct sock_fprog program = {1, &allow};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (syscall(SYS_seccomp, 1 /* SET_MODE_FILTER */, 0, &program) < 0) blocked("seccomp");
    worked("installed a filter");
}
