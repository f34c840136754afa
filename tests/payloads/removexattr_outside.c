// escape: remove an extended attribute of a file outside by its path, which Landlock doesn't guard
// layer: guard
// outside: works
#include "payload.h"

static void attempt(void) {
    if (removexattr(in("out", "victim.txt"), "user.evalbox") < 0) blocked("removexattr");
    worked("removexattr");
}
