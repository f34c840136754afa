// escape: offer a TCP server of its own
// layer: seccomp, landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = new_socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in here = loopback(0);
    if (bind(fd, (void *)&here, sizeof here) < 0) blocked("bind");
    if (listen(fd, 1) < 0) blocked("listen");
    worked("listening on a TCP port");
}
