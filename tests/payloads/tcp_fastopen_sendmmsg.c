// escape: fast open through sendmmsg
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = new_socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = loopback(number("tcp2"));
    struct iovec text = {"ping", 4};
    struct mmsghdr message = {
        .msg_hdr = {.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &text, .msg_iovlen = 1}};
    if (sendmmsg(fd, &message, 1, MSG_FASTOPEN | MSG_NOSIGNAL) < 0) blocked("sendmmsg(MSG_FASTOPEN)");
    must_echo(fd, "TCP fast open");
}
