// escape: delete a file that may only be read
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    if (unlink(in("ro", "file.txt")) < 0) blocked("unlink");
    worked("deleted it");
}
