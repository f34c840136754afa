// escape: become uninspectable, so that a guard can't read the arguments it must judge
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0) blocked("prctl(PR_SET_DUMPABLE)");
    if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0) no_effect("PR_SET_DUMPABLE");
    worked("uninspectable");
}
