// escape: a forbidden socket type with flag bits, which a filter that forgets the mask lets pass
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) blocked("socket(SOCK_RAW | flags)");
    worked("opened it (fd %d)", fd);
}
