// escape: execute a program outside every grant
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    char *path = in("out", "prog");
    if (!ran(path, (char *[]){path, NULL})) blocked("execve");
    worked("it ran");
}
