// escape: change the mode of a file outside through a symlink in the workspace
// layer: guard
// outside: works
#include "payload.h"

static void attempt(void) {
    char *link = join("ws", "link");
    if (symlink(in("out", "victim.txt"), link) < 0) blocked("symlink");
    if (chmod(link, 0600) < 0) blocked("chmod");
    worked("chmod through a symlink");
}
