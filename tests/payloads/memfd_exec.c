// escape: execute a program from memory that no path rule knows
// layer: seccomp
// outside: works
#include "payload.h"

static void attempt(void) {
    if (maybe("child")) _exit(42);
    int fd = syscall(SYS_memfd_create, "prog", 0);
    if (fd < 0) blocked("memfd_create");
    copy_self(fd);
    pid_t child = fork();
    if (child < 0) blocked("fork");
    if (!child) {
        char *argv[] = {"prog", "child=1", NULL}, *env[] = {NULL};
        syscall(SYS_execveat, fd, "", argv, env, AT_EMPTY_PATH);
        _exit(1);
    }
    int code = reap(child);
    errno = EACCES;
    if (code != 42) blocked("execveat");
    worked("it ran");
}
