// escape: connect to a unix socket outside (docker.sock, dbus, an agent)
// layer: guard
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = new_socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un to = unix_address(arg("unix"));
    if (connect(fd, (void *)&to, sizeof to) < 0) blocked("connect");
    must_echo(fd, "a unix socket");
}
