// escape: a user namespace, in which it would be root
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    if (unshare(CLONE_NEWUSER) < 0) blocked_unless_no_userns("unshare(CLONE_NEWUSER)");
    worked("in a user namespace");
}
