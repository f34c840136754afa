// escape: the new mount interface (fsopen, fsconfig), source of CVE-2022-0185
// layer: seccomp, capabilities
// needs: root
// outside: works
#include "payload.h"

static void attempt(void) {
    int fd = syscall(NR_fsopen, "tmpfs", 0);
    if (fd < 0) blocked("fsopen");
    if (syscall(NR_fsconfig, fd, 1 /* SET_STRING */, "size", "64k", 0) < 0) blocked("fsconfig");
    worked("configured a tmpfs");
}
