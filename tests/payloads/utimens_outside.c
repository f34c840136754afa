// escape: change the times of a file outside by its path, which Landlock doesn't guard
// layer: guard
// outside: works
#include "payload.h"

static void attempt(void) {
    struct timespec times[2] = {{1, 0}, {1, 0}};
    if (utimensat(AT_FDCWD, in("out", "victim.txt"), times, 0) < 0) blocked("utimensat");
    worked("utimensat");
}
