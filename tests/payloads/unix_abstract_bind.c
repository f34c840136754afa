// escape: take an abstract name that programs outside trust, and wait for them
// layer: guard
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = new_socket(AF_UNIX, SOCK_STREAM, 0);
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int length = snprintf(name.sun_path + 1, sizeof name.sun_path - 1, "%s.taken", arg("abstract"));
    if (bind(fd, (void *)&name, offsetof(struct sockaddr_un, sun_path) + 1 + length) < 0) blocked("bind");
    if (listen(fd, 1) < 0) blocked("listen");
    worked("took an abstract name");
}
