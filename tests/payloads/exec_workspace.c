// escape: execute a program it has just written
// layer: landlock
// outside: works
// inside: works a write grant includes execution: an interpreter or the dynamic loader would run the file anyway
#include "payload.h"

static void attempt(void) {
    if (maybe("child")) _exit(42);
    int fd = own_file("prog", 0755);
    char *path = join("ws", "prog");
    copy_self(fd);
    close(fd);
    if (!ran(path, (char *[]){path, "child=1", NULL})) blocked("execve");
    worked("it ran");
}
