// escape: grow a file past the limit on its size
// layer: rlimit
// outside: works
#include "payload.h"

static void attempt(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    off_t size = (limit.rlim_cur == RLIM_INFINITY ? 1L << 30 : limit.rlim_cur) + (64 << 20);
    signal(SIGXFSZ, SIG_IGN);
    int fd = own_file("big", 0600);
    int error = fallocate(fd, 0, 0, size) < 0 ? errno : 0;
    off_t got = stat_of(join("ws", "big")).st_size;
    ftruncate(fd, 0);
    errno = error;
    if (got < size) blocked("fallocate");
    worked("%ld MB in one file", (long)(got >> 20));
}
