// escape: the kernel turns a unix SOCK_RAW into SOCK_DGRAM, behind the back of a filter on types
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = new_socket(AF_UNIX, SOCK_RAW, 0);
    struct sockaddr_un to = unix_address(in("out", "dgram.sock"));
    if (sendto(fd, "ping", 4, 0, (void *)&to, sizeof to) < 0) blocked("sendto");
    worked("sent a datagram");
}
