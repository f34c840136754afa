// escape: shared memory of which only the first page of each piece stays mapped, so that no mapping shows its size
// layer: memory
// outside: works
#include "payload.h"

enum { PIECES = 100 };

static void attempt(void) {
    size_t piece = 4 << 20;
    char *kept[PIECES];
    for (int i = 0; i < PIECES; i++) {
        kept[i] = mmap(NULL, piece, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (kept[i] == MAP_FAILED) blocked("mmap");
        touch(kept[i], piece);
        if (munmap(kept[i] + 4096, piece - 4096) < 0) blocked("munmap");
    }
    pause_ms(600);
    // It is still there: the mapping can be made longer again.
    for (int i = 0; i < PIECES; i++) {
        kept[i] = mremap(kept[i], 4096, piece, MREMAP_MAYMOVE);
        if (kept[i] == MAP_FAILED) blocked("mremap");
        if (kept[i][piece - 4096] != 1) no_effect("the memory of a mapping that was cut");
    }
    worked("400 MB");
}
