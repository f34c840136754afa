// escape: memory in page tables: reading one byte of every 2 MiB takes a page table each and nothing that shows in a process's size
// layer: memory
// outside: works
#include "payload.h"

static void attempt(void) {
    size_t pieces = 400 * 256, piece = 2 << 20;
    char *memory = mmap(NULL, pieces * piece, PROT_READ,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) blocked("mmap");
    madvise(memory, pieces * piece, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < pieces; i++) *(volatile char *)(memory + i * piece);
    pause_ms(400);
    worked("400 MB of page tables");
}
