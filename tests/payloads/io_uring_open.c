// escape: open a file outside by an io_uring operation
// layer: seccomp, landlock
// outside: works
#include "payload.h"

#include <linux/io_uring.h>

static void attempt(void) {
    struct io_uring_params params = {0};
    const char *path = in("out", "secret.txt");
    int ring = syscall(NR_io_uring_setup, 4, &params);
    if (ring < 0) {
        int error = errno;
        if (setting("/proc/sys/kernel/io_uring_disabled", 0) > (geteuid() ? 0 : 1)) skip("io_uring is disabled here");
        errno = error;
        blocked("io_uring_setup");
    }
    size_t size = params.sq_off.array + params.sq_entries * 4 + params.cq_off.cqes + params.cq_entries * 16;
    char *queue = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    struct io_uring_sqe *entry = mmap(NULL, 4 * sizeof *entry, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQES);
    if (queue == MAP_FAILED || entry == MAP_FAILED) blocked("mmap of the ring");
    memset(entry, 0, sizeof *entry);
    entry->opcode = IORING_OP_OPENAT;
    entry->fd = AT_FDCWD;
    entry->addr = (uintptr_t)path;
    entry->open_flags = O_RDONLY;
    ((unsigned *)(queue + params.sq_off.array))[0] = 0;
    __atomic_store_n((unsigned *)(queue + params.sq_off.tail), 1, __ATOMIC_RELEASE);
    if (syscall(NR_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0) blocked("io_uring_enter");
    struct io_uring_cqe *answer = (void *)(queue + params.cq_off.cqes);
    errno = -answer->res;
    if (answer->res < 0) blocked("IORING_OP_OPENAT");
    must_read_canary(answer->res, "io_uring");
}
