// escape: more heap than allowed, taken in one step
// layer: memory
// outside: works
#include "payload.h"

static void attempt(void) {
    size_t size = 500 << 20;
    char *memory = sbrk(size);
    if (memory == (void *)-1) blocked("sbrk");
    touch(memory, size);
    pause_ms(400);
    worked("500 MB");
}
