// escape: performance events, a rich source of kernel bugs and side channels
// layer: seccomp
// outside: works
#include "payload.h"

#include <linux/perf_event.h>

static void attempt(void) {
    struct perf_event_attr event = {
        .type = PERF_TYPE_SOFTWARE, .size = sizeof event, .config = PERF_COUNT_SW_TASK_CLOCK, .exclude_kernel = 1, .exclude_hv = 1};
    int fd = syscall(SYS_perf_event_open, &event, 0, -1, -1, 0);
    if (fd < 0) {
        int error = errno;
        if (geteuid() && setting("/proc/sys/kernel/perf_event_paranoid", 0) > 2) skip("events are disabled here");
        errno = error;
        blocked("perf_event_open");
    }
    worked("have an event (fd %d)", fd);
}
