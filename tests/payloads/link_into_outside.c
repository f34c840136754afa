// escape: link a nameless file of the workspace (O_TMPFILE) to a name outside
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    in("out", "secret.txt");
    int fd = open(arg("ws"), O_TMPFILE | O_RDWR, 0644);
    if (fd < 0) blocked("open(O_TMPFILE)");
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    if (linkat(AT_FDCWD, name, AT_FDCWD, join("out", "appeared"), AT_SYMLINK_FOLLOW) < 0) blocked("linkat");
    worked("it has a name outside");
}
