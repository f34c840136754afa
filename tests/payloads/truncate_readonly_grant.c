// escape: cut a file that may only be read
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    if (truncate(in("ro", "file.txt"), 0) < 0) blocked("truncate");
    worked("cut it");
}
