// escape: add a Landlock layer of its own and hope that it replaces the sandbox's
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    struct { uint64_t fs, net, scoped; } handled = {.fs = 1 << 6 /* MAKE_CHAR */};
    char *path = in("out", "secret.txt");
    int ruleset = syscall(NR_landlock_create_ruleset, &handled, 8, 0);
    if (ruleset >= 0) {
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        if (syscall(NR_landlock_restrict_self, ruleset, 0) < 0) say("no further layer\n");
    }
    int fd = open(path, O_RDONLY);
    if (fd < 0) blocked("open");
    must_read_canary(fd, "its path");
}
