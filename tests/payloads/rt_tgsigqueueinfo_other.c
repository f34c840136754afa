// escape: queue a signal for a thread outside
// layer: landlock, guard, seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    siginfo_t info = {.si_signo = SIGUSR1, .si_code = SI_QUEUE};
    int pid = victim();
    if (syscall(SYS_rt_tgsigqueueinfo, pid, pid, SIGUSR1, &info) < 0) blocked("rt_tgsigqueueinfo");
    worked("rt_tgsigqueueinfo");
}
