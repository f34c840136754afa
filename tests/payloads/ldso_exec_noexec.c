// escape: run a program that may not be executed by handing it to the dynamic loader
// layer: landlock
// inside: works exec rules are accounting, not a wall: whoever reads a program can run it by loader or interpreter
// outside: works
#include "payload.h"

static void attempt(void) {
    if (maybe("child")) _exit(42);
    int fd = own_file("prog", 0644);
    char *path = join("ws", "prog");
    copy_self(fd);
    close(fd);
#if defined __x86_64__
    char *loader = "/lib64/ld-linux-x86-64.so.2";
#else
    char *loader = "/lib/ld-linux-aarch64.so.1";
#endif
    if (!ran(loader, (char *[]){loader, path, "child=1", NULL})) {
        if (errno == ENOENT) skip("no loader at %s", loader);
        blocked("execve of the loader");
    }
    worked("it ran");
}
