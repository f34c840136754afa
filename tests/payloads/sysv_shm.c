// escape: System V shared memory, which every process of the user can attach
// layer: seccomp
// outside: works
#include "payload.h"

#include <sys/shm.h>

static void attempt(void) {
    int id = shmget(IPC_PRIVATE, 4096, 0600 | IPC_CREAT);
    if (id < 0) blocked("shmget");
    shmctl(id, IPC_RMID, NULL);
    worked("made a segment");
}
