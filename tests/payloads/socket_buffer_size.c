// escape: larger socket buffers than the kernel's default, which hold more memory than anyone expects
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    int ends[2], before = 0, after = 0, wanted;
    socklen_t size = sizeof before;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) < 0) blocked("socketpair");
    getsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &before, &size);
    wanted = before / 2 - 1024;
    if (setsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &wanted, sizeof wanted) < 0) blocked("setsockopt");
    getsockopt(ends[0], SOL_SOCKET, SO_SNDBUF, &after, &size);
    if (before == after) no_effect("setsockopt(SO_SNDBUF)");
    worked("%d is now %d", before, after);
}
