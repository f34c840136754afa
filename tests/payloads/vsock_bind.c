// escape: a vsock socket, which reaches the hypervisor's host past every IP rule
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = new_socket(40 /* AF_VSOCK */, SOCK_STREAM, 0);
    struct { uint16_t family, pad; uint32_t port, cid; uint8_t zero[4]; } here = {40, 0, -1, -1};
    if (bind(fd, (void *)&here, sizeof here) < 0) blocked("bind");
    worked("bound a vsock port");
}
