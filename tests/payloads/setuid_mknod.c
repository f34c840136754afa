// escape: create a regular file with the set-user-id bit by mknod
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    char *path = join("ws", "prog");
    if (mknod(path, S_IFREG | 04755, 0) < 0) blocked("mknod(04755)");
    if (!(stat_of(path).st_mode & 06000)) no_effect("mknod(04755)");
    worked("the bit is set");
}
