// escape: a netfilter netlink socket, the way into nf_tables
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = new_socket(AF_NETLINK, SOCK_RAW, 12 /* NETLINK_NETFILTER */);
    worked("opened a netfilter socket (fd %d)", fd);
}
