// escape: UDP through sendmmsg, whose addresses hide behind pointers
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = new_socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in to = loopback(number("udp"));
    struct iovec text = {"ping", 4};
    struct mmsghdr message = {
        .msg_hdr = {.msg_name = &to, .msg_namelen = sizeof to, .msg_iov = &text, .msg_iovlen = 1}};
    if (sendmmsg(fd, &message, 1, 0) < 0) blocked("sendmmsg");
    char answer[8];
    if (recv(fd, answer, sizeof answer, 0) != 4) blocked("recv");
    worked("talked to a UDP server");
}
