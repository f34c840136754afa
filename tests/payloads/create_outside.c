// escape: create a file outside
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    in("out", "secret.txt");
    int fd = open(join("out", "new.txt"), O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (fd < 0) blocked("open(O_CREAT)");
    worked("created it");
}
