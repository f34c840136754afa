// escape: use the agent that SSH_AUTH_SOCK names
// layer: guard, lockdown
// outside: works
#include "payload.h"

static void attempt(void) {
    const char *path = getenv("SSH_AUTH_SOCK");
    if (!path) no_effect("looking for SSH_AUTH_SOCK");
    int fd = new_socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un to = unix_address(path);
    if (connect(fd, (void *)&to, sizeof to) < 0) blocked("connect");
    must_echo(fd, "the agent's socket");
}
