// escape: reserve memory without access and open it later, when nobody counts
// layer: memory
// outside: works
#include "payload.h"

static void attempt(void) {
    size_t size = 500 << 20;
    char *memory = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) blocked("mmap");
    for (size_t i = 0; i < size; i += 20 << 20) {
        if (mprotect(memory + i, 20 << 20, PROT_READ | PROT_WRITE) < 0) blocked("mprotect");
        touch(memory + i, 20 << 20);
    }
    pause_ms(400);
    worked("500 MB");
}
