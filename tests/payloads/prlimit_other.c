// escape: take the limits of a process outside away, enough to cripple it
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    struct rlimit limit = {7, 4096};
    if (prlimit(victim(), RLIMIT_NOFILE, &limit, NULL) < 0) blocked("prlimit");
    worked("the victim may have 7 files");
}
