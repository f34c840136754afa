// escape: reach the unix socket through a symlink in the workspace
// layer: guard
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = new_socket(AF_UNIX, SOCK_STREAM, 0);
    char *link = join("ws", "link.sock");
    if (symlink(arg("unix"), link) < 0) blocked("symlink");
    struct sockaddr_un to = unix_address(link);
    if (connect(fd, (void *)&to, sizeof to) < 0) blocked("connect");
    must_echo(fd, "a symlinked unix socket");
}
