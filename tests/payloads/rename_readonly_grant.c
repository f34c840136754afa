// escape: move a file from a read-only grant into the workspace and change it there
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    if (rename(in("ro", "file.txt"), join("ws", "taken")) < 0) blocked("rename");
    int fd = open(join("ws", "taken"), O_WRONLY);
    if (fd < 0) blocked("open for writing");
    worked("moved it");
}
