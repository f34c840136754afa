// escape: TCP_FASTOPEN_CONNECT puts the connection off until the first write
// layer: seccomp, landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = new_socket(AF_INET, SOCK_STREAM, 0), on = 1;
    struct sockaddr_in to = loopback(number("tcp2"));
    if (setsockopt(fd, IPPROTO_TCP, 30 /* TCP_FASTOPEN_CONNECT */, &on, sizeof on) < 0) blocked("setsockopt");
    if (connect(fd, (void *)&to, sizeof to) < 0) blocked("connect");
    must_echo(fd, "TCP fast open");
}
