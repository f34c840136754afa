// escape: shared memory under /dev/shm, seen by every process of the machine
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    char name[64];
    snprintf(name, sizeof name, "/dev/shm/evalbox-payload-%d", getpid());
    if (open(name, O_RDWR | O_CREAT | O_EXCL, 0600) < 0) blocked("open in /dev/shm");
    unlink(name);
    worked("made a segment");
}
