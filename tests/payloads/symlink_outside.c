// escape: plant a symlink outside
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    in("out", "secret.txt");
    if (symlink("/etc/passwd", join("out", "planted")) < 0) blocked("symlink");
    worked("planted it");
}
