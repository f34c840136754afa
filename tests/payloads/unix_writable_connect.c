// escape: connect to a socket of the host in a directory that may be written (tmux, an agent, X11)
// layer: guard
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = new_socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un to = unix_address(in("ws", "host.sock"));
    if (connect(fd, (void *)&to, sizeof to) < 0) blocked("connect");
    must_echo(fd, "a socket in a writable directory");
}
