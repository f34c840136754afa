// escape: change the mode of a file outside by an O_PATH handle and AT_EMPTY_PATH
// layer: guard, seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    need_kernel(6, 6);
    int fd = open(in("out", "victim.txt"), O_PATH);
    if (fd < 0) blocked("open(O_PATH)");
    if (syscall(NR_fchmodat2, fd, "", 0600, AT_EMPTY_PATH) < 0) blocked("fchmodat2(AT_EMPTY_PATH)");
    worked("fchmodat2(AT_EMPTY_PATH)");
}
