// escape: change the owner of a file outside by an O_PATH handle and AT_EMPTY_PATH
// layer: guard, seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = open(in("out", "victim.txt"), O_PATH);
    if (fd < 0) blocked("open(O_PATH)");
    if (fchownat(fd, "", getuid(), getgid(), AT_EMPTY_PATH) < 0) blocked("fchownat(AT_EMPTY_PATH)");
    worked("fchownat(AT_EMPTY_PATH)");
}
