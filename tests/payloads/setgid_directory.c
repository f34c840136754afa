// escape: leave a set-group-id directory behind
// layer: seccomp, guard
// outside: works
#include "payload.h"

static void attempt(void) {
    char *path = join("ws", "dir");
    if (mkdir(path, 0777) < 0) blocked("mkdir");
    if (chmod(path, 02777) < 0) blocked("chmod(02777)");
    if (!(stat_of(path).st_mode & 06000)) no_effect("chmod(02777)");
    worked("the bit is set");
}
