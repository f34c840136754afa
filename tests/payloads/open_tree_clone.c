// escape: copy a mount tree
// layer: seccomp, capabilities
// needs: root
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = syscall(NR_open_tree, AT_FDCWD, arg("ws"), 1 /* OPEN_TREE_CLONE */);
    if (fd < 0) blocked("open_tree");
    worked("have a copy (fd %d)", fd);
}
