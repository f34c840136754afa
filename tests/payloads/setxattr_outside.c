// escape: set an extended attribute of a file outside by its path, which Landlock doesn't guard
// layer: guard
// outside: works
#include "payload.h"

static void attempt(void) {
    if (setxattr(in("out", "victim.txt"), "user.escape", "1", 1, 0) < 0) blocked("setxattr");
    worked("setxattr");
}
