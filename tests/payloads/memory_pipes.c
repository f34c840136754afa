// escape: memory in pipe buffers, which shows in nobody's size
// layer: capabilities, rlimit, memory
// needs: root
// outside: works
#include "payload.h"

static char block[1 << 20];

static void attempt(void) {
    for (int i = 0; i < 400; i++) {
        int ends[2];
        if (pipe2(ends, O_NONBLOCK) < 0) blocked("pipe2");
        if (fcntl(ends[1], 1031 /* F_SETPIPE_SZ */, sizeof block) < 0) blocked("fcntl(F_SETPIPE_SZ)");
        if (write(ends[1], block, sizeof block) != sizeof block) blocked("write");
    }
    pause_ms(400);
    worked("400 MB in pipes");
}
