// escape: a netlink socket, the way to routes, firewalls and a good part of the kernel's bugs
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = new_socket(AF_NETLINK, SOCK_RAW, 0 /* NETLINK_ROUTE */);
    struct { uint32_t length; uint16_t type, flags; uint32_t seq, pid; uint8_t family, pad[3]; } ask = {
        20, 18 /* RTM_GETLINK */, 0x301 /* REQUEST | DUMP */, 1, 0, 0};
    char answer[65536];
    if (send(fd, &ask, sizeof ask, 0) < 0) blocked("send");
    if (recv(fd, answer, sizeof answer, 0) <= 0) blocked("recv");
    worked("listed the network interfaces");
}
