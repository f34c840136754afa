// escape: change the mode of a file outside by a handle of its directory
// layer: guard
// outside: works
#include "payload.h"

static void attempt(void) {
    in("out", "victim.txt");
    int dir = open(arg("out"), O_PATH | O_DIRECTORY);
    if (dir < 0) blocked("open(O_PATH)");
    if (fchmodat(dir, "victim.txt", 0600, 0) < 0) blocked("fchmodat");
    worked("fchmodat");
}
