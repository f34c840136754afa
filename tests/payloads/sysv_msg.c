// escape: a System V message queue
// layer: seccomp
// outside: works
#include "payload.h"

#include <sys/msg.h>

static void attempt(void) {
    int id = msgget(IPC_PRIVATE, 0600 | IPC_CREAT);
    if (id < 0) blocked("msgget");
    msgctl(id, IPC_RMID, NULL);
    worked("made a queue");
}
