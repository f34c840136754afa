// escape: a user and a mount namespace, then a mount of its own
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) blocked_unless_no_userns("unshare");
    if (mount("tmpfs", arg("ws"), "tmpfs", 0, NULL) < 0) blocked_unless_no_userns("mount");
    worked("mounted a tmpfs");
}
