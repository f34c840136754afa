// escape: make a directory outside
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    in("out", "secret.txt");
    if (mkdir(join("out", "new"), 0755) < 0) blocked("mkdir");
    worked("made it");
}
