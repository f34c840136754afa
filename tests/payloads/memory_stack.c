// escape: more stack than allowed, after raising the soft limit
// layer: memory, rlimit
// outside: works
#include "payload.h"

static void deep(size_t left) {
    volatile char block[65536];
    for (int i = 0; i < sizeof block; i += 4096) block[i] = 1;
    if (left > sizeof block) deep(left - sizeof block);
    else pause_ms(400);
    block[0] = 2;
}

static void attempt(void) {
    struct rlimit limit;
    if (!maybe("child")) {
        // Only a new program gets an address space with room for a large stack.
        getrlimit(RLIMIT_STACK, &limit);
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_STACK, &limit) < 0) blocked("setrlimit");
        execl(payload_argv[0], payload_argv[0], "child=1", NULL);
        blocked("execve of itself");
    }
    pid_t child = fork();
    if (child < 0) blocked("fork");
    if (!child) {
        deep(500 << 20);
        _exit(0);
    }
    int code = reap(child);
    errno = ENOMEM;
    if (code) blocked("growing the stack");
    worked("500 MB of stack");
}
