// escape: listen() without bind(): the kernel picks a port and no bind rule is asked
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = new_socket(AF_INET, SOCK_STREAM, 0);
    if (listen(fd, 1) < 0) blocked("listen");
    struct sockaddr_in here;
    socklen_t length = sizeof here;
    if (getsockname(fd, (void *)&here, &length) < 0) blocked("getsockname");
    if (!here.sin_port) no_effect("listen");
    worked("listening on port %d", ntohs(here.sin_port));
}
