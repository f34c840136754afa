// escape: sendto(MSG_FASTOPEN) connects and sends in one call that connect rules don't see
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = new_socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = loopback(number("tcp2"));
    if (sendto(fd, "ping", 4, MSG_FASTOPEN | MSG_NOSIGNAL, (void *)&to, sizeof to) < 0) blocked("sendto(MSG_FASTOPEN)");
    must_echo(fd, "TCP fast open");
}
