// escape: cut a file outside by path
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    if (truncate(in("out", "victim.txt"), 0) < 0) blocked("truncate");
    worked("cut it");
}
