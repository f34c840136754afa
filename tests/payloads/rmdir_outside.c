// escape: remove a directory outside
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    if (rmdir(in("out", "victim_dir")) < 0) blocked("rmdir");
    worked("removed it");
}
