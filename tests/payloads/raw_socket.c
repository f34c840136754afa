// escape: a raw ICMP socket
// layer: seccomp, capabilities
// needs: root
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = new_socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
    worked("opened a raw socket (fd %d)", fd);
}
