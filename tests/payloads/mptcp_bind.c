// escape: a multipath TCP server of its own
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = new_socket(AF_INET, SOCK_STREAM, 262 /* IPPROTO_MPTCP */);
    struct sockaddr_in here = loopback(0);
    if (bind(fd, (void *)&here, sizeof here) < 0) blocked("bind");
    if (listen(fd, 1) < 0) blocked("listen");
    worked("listening on an MPTCP port");
}
