// escape: shared memory whose pages are dropped from the process's own tables, and stay in memory
// layer: memory
// outside: works
#include "payload.h"

static void attempt(void) {
    size_t size = 400 << 20, piece = 8 << 20, there = 0;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) blocked("mmap");
    for (size_t i = 0; i < size; i += piece) {
        touch(memory + i, piece);
        madvise(memory + i, piece, MADV_DONTNEED);
    }
    pause_ms(400);
    for (size_t i = 0; i < size; i += piece) there += memory[i] == 1;
    if (there * piece != size) no_effect("MADV_DONTNEED");
    worked("400 MB");
}
