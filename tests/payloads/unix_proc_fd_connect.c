// escape: reach the unix socket through /proc/self/fd of an O_PATH handle
// layer: guard
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = new_socket(AF_UNIX, SOCK_STREAM, 0);
    int handle = open(arg("unix"), O_PATH | O_CLOEXEC);
    if (handle < 0) blocked("open(O_PATH)");
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", handle);
    struct sockaddr_un to = unix_address(name);
    if (connect(fd, (void *)&to, sizeof to) < 0) blocked("connect");
    must_echo(fd, "a magic link");
}
