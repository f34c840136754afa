// escape: FALLOC_FL_KEEP_SIZE takes disk space past the limit on file size, which looks at the size only
// layer: rlimit, seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    off_t size = (limit.rlim_cur == RLIM_INFINITY ? 1L << 30 : limit.rlim_cur) + (64 << 20);
    signal(SIGXFSZ, SIG_IGN);
    int fd = own_file("big", 0600);
    int error = fallocate(fd, 1 /* FALLOC_FL_KEEP_SIZE */, 0, size) < 0 ? errno : 0;
    off_t got = stat_of(join("ws", "big")).st_blocks * 512;
    pause_ms(got < size ? 0 : 300); // longer than a limit that samples needs
    ftruncate(fd, 0);
    fallocate(fd, 3 /* KEEP_SIZE | PUNCH_HOLE */, 0, size);
    errno = error;
    if (got < size) blocked("fallocate(FALLOC_FL_KEEP_SIZE)");
    worked("%ld MB taken by one file", (long)(got >> 20));
}
