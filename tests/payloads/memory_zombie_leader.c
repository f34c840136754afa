// escape: more memory than allowed in a process whose first thread has ended, so that its statm is empty
// layer: memory
// outside: works
#include "payload.h"

static void *other(void *unused) {
    (void)unused;
    size_t size = 400 << 20;
    pause_ms(50);
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) blocked("mmap");
    touch(memory, size);
    pause_ms(400);
    worked("400 MB");
}

static void attempt(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, other, NULL)) skip("no thread");
    syscall(SYS_exit, 0);
}
