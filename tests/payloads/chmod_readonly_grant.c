// escape: change the mode of a file that may only be read
// layer: guard
// outside: works
#include "payload.h"

static void attempt(void) {
    if (chmod(in("ro", "file.txt"), 0666) < 0) blocked("chmod");
    worked("chmod");
}
