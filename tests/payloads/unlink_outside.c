// escape: delete a file outside
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    if (unlink(in("out", "victim.txt")) < 0) blocked("unlink");
    worked("deleted it");
}
