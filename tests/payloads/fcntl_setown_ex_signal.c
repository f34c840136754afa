// escape: the same by F_SETOWN_EX and a signal of choice (F_SETSIG)
// layer: landlock, guard, seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    int pair[2], pid = victim();
    struct f_owner_ex owner = {F_OWNER_PID, pid};
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) blocked("socketpair");
    if (fcntl(pair[0], F_SETOWN_EX, &owner) < 0) blocked("fcntl(F_SETOWN_EX)");
    if (fcntl(pair[0], F_SETSIG, SIGUSR2) < 0) blocked("fcntl(F_SETSIG)");
    if (fcntl(pair[0], F_SETFL, O_ASYNC) < 0) blocked("fcntl(O_ASYNC)");
    if (write(pair[1], "x", 1) != 1) blocked("write");
    if (pending(pid, SIGUSR2) != 1) no_effect("SIGUSR2, as far as can be seen from here,");
    worked("the victim has a SIGUSR2");
}
