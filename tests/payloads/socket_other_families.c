// escape: any socket family beyond unix and the internet ones
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    int found = 0;
    for (int family = 3; family < 64; family++) {
        if (family == AF_INET6) continue;
        for (int type = SOCK_STREAM; type <= SOCK_SEQPACKET; type++) {
            int fd = socket(family, type, 0);
            if (fd < 0) continue;
            say("family %d type %d opened\n", family, type);
            close(fd);
            found++;
        }
    }
    if (!found) blocked("socket");
    worked("%d kinds of sockets", found);
}
