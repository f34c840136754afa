// escape: make a named pipe outside
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    in("out", "secret.txt");
    if (mkfifo(join("out", "pipe"), 0644) < 0) blocked("mkfifo");
    worked("made it");
}
