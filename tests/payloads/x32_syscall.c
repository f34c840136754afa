// escape: the x32 call numbers, which a filter on x86_64 numbers may not know
// layer: seccomp
// outside: skip kernels are seldom built with x32
// dies: yes
#include "payload.h"

static void attempt(void) {
#ifdef __x86_64__
    long pid = syscall(SYS_getpid | 0x40000000);
    if (pid < 0) blocked("getpid by x32");
    worked("x32 answered: %ld", pid);
#else
    skip("x86_64 only");
#endif
}
