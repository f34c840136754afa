// escape: name a process outside as the owner of a socket, so that the kernel signals it
// layer: landlock, guard, seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    int pair[2], pid = victim();
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) blocked("socketpair");
    if (fcntl(pair[0], F_SETOWN, pid) < 0) blocked("fcntl(F_SETOWN)");
    if (fcntl(pair[0], F_SETFL, O_ASYNC) < 0) blocked("fcntl(O_ASYNC)");
    if (write(pair[1], "x", 1) != 1) blocked("write");
    if (pending(pid, SIGIO) != 1) no_effect("SIGIO, as far as can be seen from here,");
    worked("the victim has a SIGIO");
}
