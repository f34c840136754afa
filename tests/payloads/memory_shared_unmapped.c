// escape: shared memory in pieces, each mapped by its own sleeping process
// layer: memory, tasks
// outside: works
#include "payload.h"

static void attempt(void) {
    int ends[2];
    if (pipe(ends) < 0) blocked("pipe");
    for (int i = 0; i < 8; i++) {
        pid_t child = fork();
        if (child < 0) blocked("fork");
        if (child) continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        size_t size = 100 << 20;
        char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) _exit(1);
        touch(memory, size);
        if (write(ends[1], "x", 1) == 1) pause();
        _exit(1);
    }
    close(ends[1]);
    for (int ready = 0; ready < 8; ready++) {
        char byte;
        errno = ENOMEM;
        if (read(ends[0], &byte, 1) != 1) blocked("memory in a child");
    }
    pause_ms(400);
    worked("8 times 100 MB");
}
