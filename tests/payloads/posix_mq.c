// escape: a POSIX message queue
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    char name[64];
    snprintf(name, sizeof name, "evalbox-payload-%d", getpid());
    int fd = syscall(SYS_mq_open, name, O_RDWR | O_CREAT, 0600, NULL);
    if (fd < 0) blocked("mq_open");
    syscall(SYS_mq_unlink, name);
    worked("made a queue");
}
