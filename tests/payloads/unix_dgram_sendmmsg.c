// escape: a unix datagram through sendmmsg
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = new_socket(AF_UNIX, SOCK_DGRAM, 0);
    struct sockaddr_un to = unix_address(in("out", "dgram.sock"));
    struct iovec text = {"ping", 4};
    struct mmsghdr message = {
        .msg_hdr = {.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &text, .msg_iovlen = 1}};
    if (sendmmsg(fd, &message, 1, 0) < 0) blocked("sendmmsg");
    worked("sent a datagram");
}
