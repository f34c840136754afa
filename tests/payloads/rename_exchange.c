// escape: exchange a file of the workspace with one outside
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    own_file("mine", 0644);
    if (renameat2(AT_FDCWD, join("ws", "mine"), AT_FDCWD, in("out", "secret.txt"), 2 /* RENAME_EXCHANGE */) < 0)
        blocked("renameat2(RENAME_EXCHANGE)");
    int fd = open(join("ws", "mine"), O_RDONLY);
    if (fd < 0) blocked("open");
    must_read_canary(fd, "exchanging it");
}
