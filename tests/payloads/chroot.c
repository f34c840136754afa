// escape: make a directory outside the root, where paths mean something else
// layer: seccomp, capabilities
// needs: root
// outside: works
#include "payload.h"

static void attempt(void) {
    in("out", "secret.txt");
    if (chroot(arg("out")) < 0) blocked("chroot");
    int fd = open("/secret.txt", O_RDONLY);
    if (fd < 0) blocked("open");
    must_read_canary(fd, "chroot");
}
