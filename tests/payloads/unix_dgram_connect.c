// escape: connect a datagram socket and send
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = new_socket(AF_UNIX, SOCK_DGRAM, 0);
    struct sockaddr_un to = unix_address(in("out", "dgram.sock"));
    if (connect(fd, (void *)&to, sizeof to) < 0) blocked("connect");
    if (send(fd, "ping", 4, 0) < 0) blocked("send");
    worked("sent a datagram");
}
