// escape: send a datagram to a UDP server and get its answer
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = new_socket(AF_INET, SOCK_DGRAM, 0);
    struct sockaddr_in to = loopback(number("udp"));
    if (sendto(fd, "ping", 4, 0, (void *)&to, sizeof to) < 0) blocked("sendto");
    char answer[8];
    if (recv(fd, answer, sizeof answer, 0) != 4) blocked("recv");
    worked("talked to a UDP server");
}
