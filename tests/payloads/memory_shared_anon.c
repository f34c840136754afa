// escape: more shared memory than allowed, which RLIMIT_DATA doesn't count
// layer: memory
// outside: works
#include "payload.h"

static void attempt(void) {
    size_t size = 500 << 20;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) blocked("mmap");
    touch(memory, size);
    pause_ms(400);
    worked("500 MB");
}
