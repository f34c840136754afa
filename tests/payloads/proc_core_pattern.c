// escape: have the kernel run a program of our choice on the next crash
// layer: landlock
// grant: /proc
// needs: root
// outside: works
#include "payload.h"

static void attempt(void) {
    if (open("/proc/sys/kernel/core_pattern", O_WRONLY) < 0) blocked("open");
    worked("core_pattern is open for writing");
}
