// escape: execute a program that may only be read
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    char *path = in("ro", "prog");
    if (!ran(path, (char *[]){path, NULL})) blocked("execve");
    worked("it ran");
}
