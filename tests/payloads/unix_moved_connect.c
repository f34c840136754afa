// escape: move a socket of the host into the private workspace, and connect to it there
// layer: guard
// outside: works
#include "payload.h"

static void attempt(void) {
    const char *private = getenv("TMPDIR");
    char *moved;
    if (asprintf(&moved, "%s/own.sock", private ? private : arg("ws")) < 0) skip("out of memory");
    if (rename(in("ws", "host.sock"), moved) < 0) blocked("rename");
    int fd = new_socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un to = unix_address(moved);
    if (connect(fd, (void *)&to, sizeof to) < 0) blocked("connect");
    must_echo(fd, "a socket moved into the workspace");
}
