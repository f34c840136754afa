// escape: set an extended attribute of a file that may only be read by a descriptor and AT_EMPTY_PATH
// layer: guard, seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    need_kernel(6, 13);
    struct { uint64_t value; uint32_t size, flags; } value = {(uintptr_t)"1", 1, 0};
    int fd = open(in("ro", "file.txt"), O_RDONLY);
    if (fd < 0) blocked("open");
    if (syscall(NR_setxattrat, fd, "", AT_EMPTY_PATH, "user.escape", &value, sizeof value) < 0) blocked("setxattrat(AT_EMPTY_PATH)");
    worked("setxattrat(AT_EMPTY_PATH)");
}
