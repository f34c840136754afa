// escape: watch a directory outside by fanotify
// layer: seccomp
// outside: works
#include "payload.h"

#include <sys/fanotify.h>

static void attempt(void) {
    in("out", "secret.txt");
    int fd = fanotify_init(0x200 /* FAN_REPORT_FID */, O_RDONLY);
    if (fd < 0) blocked("fanotify_init");
    if (fanotify_mark(fd, FAN_MARK_ADD, FAN_OPEN | FAN_EVENT_ON_CHILD, AT_FDCWD, arg("out")) < 0)
        blocked("fanotify_mark");
    worked("watching it");
}
