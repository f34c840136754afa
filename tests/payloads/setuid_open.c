// escape: create a file with the set-user-id bit
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    char *path = join("ws", "prog");
    if (open(path, O_WRONLY | O_CREAT | O_EXCL, 04777) < 0) blocked("open(04777)");
    if (!(stat_of(path).st_mode & 06000)) no_effect("open(04777)");
    worked("the bit is set");
}
