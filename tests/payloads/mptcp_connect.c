// escape: multipath TCP, which TCP connect rules don't cover
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = new_socket(AF_INET, SOCK_STREAM, 262 /* IPPROTO_MPTCP */);
    struct sockaddr_in to = loopback(number("mptcp"));
    if (connect(fd, (void *)&to, sizeof to) < 0) blocked("connect");
    must_echo(fd, "MPTCP");
}
