// escape: memory in the buffers of socket pairs, made as large as they get
// layer: memory, seccomp
// outside: works
#include "payload.h"

static char block[65536];

static void attempt(void) {
    size_t held = 0;
    int wanted = 1 << 17;
    for (int i = 0; i < 4 * 240; i++) {
        int ends[2];
        // Each child has as many descriptors again.
        if (i % 240 == 0 && i > 0) {
            pid_t child = fork();
            if (child < 0) blocked("fork");
            if (child) {
                if (reap(child) != 0) no_effect("a child that holds more");
                worked("socket buffers");
            }
            for (int fd = 3; fd < 3 + 480; fd++) close(fd);
        }
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) < 0) blocked("socketpair");
        for (int end = 0; end < 2; end++) {
            setsockopt(ends[end], SOL_SOCKET, SO_SNDBUF, &wanted, sizeof wanted);
            for (ssize_t n; (n = write(ends[end], block, sizeof block)) > 0;) held += n;
        }
    }
    pause_ms(400);
    if (held < 200 << 20) no_effect("filling 960 socket pairs");
    worked("at least %zu MB in socket buffers", held >> 20);
}
