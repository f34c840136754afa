// escape: change the owner of a file outside by its path, which Landlock doesn't guard
// layer: guard
// outside: works
#include "payload.h"

static void attempt(void) {
    if (chown(in("out", "victim.txt"), getuid(), getgid()) < 0) blocked("chown");
    worked("chown");
}
