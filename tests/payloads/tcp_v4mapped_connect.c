// escape: connect to an IPv4 server through an IPv6 socket (::ffff:127.0.0.1)
// layer: seccomp, landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = new_socket(AF_INET6, SOCK_STREAM, 0);
    struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons(number("tcp"))};
    inet_pton(AF_INET6, "::ffff:127.0.0.1", &to.sin6_addr);
    if (connect(fd, (void *)&to, sizeof to) < 0) blocked("connect");
    must_echo(fd, "a v4-mapped address");
}
