// escape: hard-link a read-only file into the workspace and write through the link
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    if (link(in("ro", "file.txt"), join("ws", "link")) < 0) blocked("link");
    int fd = open(join("ws", "link"), O_WRONLY);
    if (fd < 0) blocked("open for writing");
    worked("opened it for writing");
}
