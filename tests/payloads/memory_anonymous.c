// escape: more private memory than allowed
// layer: memory
// outside: works
#include "payload.h"

static void attempt(void) {
    size_t size = 500 << 20;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) blocked("mmap");
    touch(memory, size);
    pause_ms(400); // longer than a limit that samples needs
    worked("500 MB");
}
