// escape: replace a file outside by one from the workspace
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    own_file("mine", 0644);
    if (rename(join("ws", "mine"), in("out", "victim.txt")) < 0) blocked("rename");
    worked("replaced it");
}
