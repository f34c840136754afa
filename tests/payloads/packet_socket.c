// escape: a packet socket, which sees every frame of every interface
// layer: seccomp, capabilities
// needs: root
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = new_socket(17 /* AF_PACKET */, SOCK_RAW, htons(3 /* ETH_P_ALL */));
    worked("opened a packet socket (fd %d)", fd);
}
