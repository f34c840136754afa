// escape: System V semaphores
// layer: seccomp
// outside: works
#include "payload.h"

#include <sys/sem.h>

static void attempt(void) {
    int id = semget(IPC_PRIVATE, 1, 0600 | IPC_CREAT);
    if (id < 0) blocked("semget");
    semctl(id, 0, IPC_RMID);
    worked("made a semaphore");
}
