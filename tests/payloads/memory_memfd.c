// escape: memory in a nameless file that no process maps, so that it shows in nobody's size
// layer: seccomp, memory
// outside: works
#include "payload.h"

static char block[1 << 20];

static void attempt(void) {
    int fd = syscall(SYS_memfd_create, "hoard", 0);
    if (fd < 0) blocked("memfd_create");
    memset(block, 1, sizeof block);
    for (int i = 0; i < 500; i++)
        if (write(fd, block, sizeof block) != sizeof block) blocked("write");
    pause_ms(400);
    worked("500 MB");
}
