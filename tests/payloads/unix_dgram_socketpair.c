// escape: socketpair needs no socket(): one end of a datagram pair sends to any path by msg_name
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) < 0) blocked("socketpair(SOCK_DGRAM)");
    struct sockaddr_un to = unix_address(in("out", "dgram.sock"));
    struct iovec text = {"ping", 4};
    struct msghdr message = {.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &text, .msg_iovlen = 1};
    if (sendmsg(pair[0], &message, 0) < 0) blocked("sendmsg");
    worked("sent a datagram");
}
