// escape: UDP through connect() and send()
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = new_socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in to = loopback(number("udp"));
    if (connect(fd, (void *)&to, sizeof to) < 0) blocked("connect");
    must_echo(fd, "UDP");
}
