// escape: more memory than allowed in a program that may not be read, so that nobody can inspect it
// layer: memory
// outside: works
#include "payload.h"

static void attempt(void) {
    if (!maybe("again")) {
        char *path = join("ws", "unreadable");
        int fd = own_file("unreadable", 0700);
        copy_self(fd);
        close(fd);
        if (chmod(path, 0111) < 0) blocked("chmod");
        char *argv[] = {path, "again=1", NULL};
        execv(path, argv);
        blocked("execv");
    }
    size_t size = 400 << 20;
    char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) blocked("mmap");
    touch(memory, size);
    pause_ms(400);
    worked("400 MB");
}
