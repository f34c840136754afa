// escape: grow a file past its limit by truncate(path), which another process may perform for us
// layer: rlimit
// outside: works
#include "payload.h"

static void attempt(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_FSIZE, &limit);
    off_t size = (limit.rlim_cur == RLIM_INFINITY ? 1L << 30 : limit.rlim_cur) + (64 << 20);
    signal(SIGXFSZ, SIG_IGN);
    own_file("big", 0600);
    int error = truncate(join("ws", "big"), size) < 0 ? errno : 0;
    off_t got = stat_of(join("ws", "big")).st_size;
    errno = error;
    if (got < size) blocked("truncate");
    worked("a file of %ld MB", (long)(got >> 20));
}
