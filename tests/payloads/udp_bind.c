// escape: receive datagrams on a UDP port
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = new_socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in here = loopback(0);
    if (bind(fd, (void *)&here, sizeof here) < 0) blocked("bind");
    worked("bound a UDP port");
}
