// escape: put a unix socket into a directory outside
// layer: guard, landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = new_socket(AF_UNIX, SOCK_STREAM, 0);
    in("out", "secret.txt");
    struct sockaddr_un here = unix_address(join("out", "mine.sock"));
    if (bind(fd, (void *)&here, sizeof here) < 0) blocked("bind");
    worked("bound a socket outside");
}
