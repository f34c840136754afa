// escape: create a file in a directory that may only be read
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    in("ro", "file.txt");
    if (open(join("ro", "new.txt"), O_WRONLY | O_CREAT, 0644) < 0) blocked("open(O_CREAT)");
    worked("created it");
}
