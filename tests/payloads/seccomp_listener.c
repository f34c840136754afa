// escape: a filter with a listener, to steal the guard's notifications
// layer: seccomp
// outside: works
#include "payload.h"

#include <linux/filter.h>

static void attempt(void) {
    struct sock_filter allow = {0x06 /* RET */, 0, 0, 0x7fff0000 /* ALLOW */};
    struct sock_fprog program = {1, &allow};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    int fd = syscall(SYS_seccomp, 1 /* SET_MODE_FILTER */, 8 /* NEW_LISTENER */, &program);
    if (fd < 0) blocked("seccomp(NEW_LISTENER)");
    worked("have a listener (fd %d)", fd);
}
