// escape: create a file with the set-user-id bit by openat2, whose mode hides behind a pointer
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    char *path = join("ws", "prog");
    struct { uint64_t flags, mode, resolve; } how = {O_WRONLY | O_CREAT | O_EXCL, 04777};
    if (syscall(NR_openat2, AT_FDCWD, path, &how, sizeof how) < 0) blocked("openat2(04777)");
    if (!(stat_of(path).st_mode & 06000)) no_effect("openat2(04777)");
    worked("the bit is set");
}
