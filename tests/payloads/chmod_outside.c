// escape: change the mode of a file outside by its path, which Landlock doesn't guard
// layer: guard
// outside: works
#include "payload.h"

static void attempt(void) {
    if (chmod(in("out", "victim.txt"), 0600) < 0) blocked("chmod");
    worked("chmod");
}
