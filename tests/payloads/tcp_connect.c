// escape: connect to a TCP server on the loopback interface
// layer: seccomp, landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = new_socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = loopback(number("tcp"));
    if (connect(fd, (void *)&to, sizeof to) < 0) blocked("connect");
    must_echo(fd, "TCP");
}
