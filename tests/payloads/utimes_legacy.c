// escape: the old calls for times (utime, utimes, futimesat)
// layer: guard, seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
#ifdef SYS_utimes
    struct timeval times[2] = {{1, 0}, {1, 0}};
    char *path = in("out", "victim.txt");
    if (syscall(SYS_utimes, path, times) && syscall(SYS_utime, path, NULL) && syscall(SYS_futimesat, AT_FDCWD, path, times))
        blocked("utimes, utime and futimesat");
    worked("one of them");
#else
    skip("this architecture never had them");
#endif
}
