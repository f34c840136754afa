// escape: change directory to the outside, then the mode of a relative name
// layer: guard
// outside: works
#include "payload.h"

static void attempt(void) {
    in("out", "victim.txt");
    if (chdir(arg("out")) < 0) blocked("chdir");
    if (chmod("victim.txt", 0600) < 0) blocked("chmod");
    worked("chmod of a relative name");
}
