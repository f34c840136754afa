// escape: the same with a socketpair of SOCK_RAW
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_RAW, 0, pair) < 0) blocked("socketpair(SOCK_RAW)");
    struct sockaddr_un to = unix_address(in("out", "dgram.sock"));
    if (sendto(pair[0], "ping", 4, 0, (void *)&to, sizeof to) < 0) blocked("sendto");
    worked("sent a datagram");
}
