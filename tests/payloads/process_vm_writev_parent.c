// escape: write to the memory of its parent, which may be the sandbox's own guard
// layer: seccomp, landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    // Nothing is mapped there, so EFAULT says that only the address was wrong.
    struct iovec here = {"x", 1}, there = {(void *)8, 1};
    process_vm_writev(getppid(), &here, 1, &there, 1, 0);
    if (errno != EFAULT) blocked_unless_yama("process_vm_writev");
    worked("it was allowed to");
}
