// escape: move a file from the workspace to outside
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    own_file("mine", 0644);
    in("out", "secret.txt");
    if (rename(join("ws", "mine"), join("out", "mine")) < 0) blocked("rename");
    worked("moved it out");
}
