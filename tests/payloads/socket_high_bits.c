// escape: set the upper half of an argument register, which the kernel drops and a filter may not
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    long fd = syscall(SYS_socket, AF_INET | 1L << 32, SOCK_STREAM | 1L << 40, 0L);
    if (fd < 0) blocked("socket");
    struct sockaddr_in to = loopback(number("tcp"));
    if (connect(fd, (void *)&to, sizeof to) < 0) blocked("connect");
    must_echo(fd, "a socket with high bits");
}
