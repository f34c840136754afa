// escape: connect to an abstract unix socket, which has no path to protect it
// layer: guard, landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = new_socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const char *name = arg("abstract");
    strncpy(to.sun_path + 1, name, sizeof to.sun_path - 2);
    socklen_t length = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name);
    if (connect(fd, (void *)&to, length) < 0) blocked("connect");
    must_echo(fd, "an abstract unix socket");
}
