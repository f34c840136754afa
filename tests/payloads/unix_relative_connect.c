// escape: name the unix socket relative to a directory walked into before
// layer: guard
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = new_socket(AF_UNIX, SOCK_STREAM, 0);
    const char *path = arg("unix");
    if (chdir(arg("out")) < 0) blocked("chdir");
    struct sockaddr_un to = unix_address(strrchr(path, '/') + 1);
    if (connect(fd, (void *)&to, sizeof to) < 0) blocked("connect");
    must_echo(fd, "a relative unix address");
}
