// escape: the quota interface
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    if (syscall(SYS_quotactl, 0x80000100u /* QCMD(Q_SYNC, USRQUOTA) */, NULL, 0, NULL) < 0) blocked("quotactl");
    worked("synced the quotas");
}
