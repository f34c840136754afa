// escape: create a file outside through a dangling symlink in the workspace
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    in("out", "secret.txt");
    char *link = join("ws", "link");
    if (symlink(join("out", "new.txt"), link) < 0) blocked("symlink");
    int fd = open(link, O_WRONLY | O_CREAT, 0644);
    if (fd < 0) blocked("open(O_CREAT)");
    worked("created it");
}
