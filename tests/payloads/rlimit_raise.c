// escape: raise a limit above its hard value
// layer: capabilities, rlimit
// needs: root
// outside: skip even root may lack CAP_SYS_RESOURCE
#include "payload.h"

static void attempt(void) {
    for (int which = 0; which < RLIMIT_NLIMITS; which++) {
        struct rlimit limit;
        if (getrlimit(which, &limit) < 0) blocked("getrlimit");
        if (limit.rlim_max == RLIM_INFINITY || which == RLIMIT_NOFILE) continue;
        limit.rlim_max++;
        struct rlimit now;
        if (setrlimit(which, &limit) == 0 && getrlimit(which, &now) == 0 && now.rlim_max == limit.rlim_max)
            worked("raised limit %d", which);
    }
    errno = EPERM;
    blocked("setrlimit");
}
