// escape: put another file behind a descriptor between the check and the call
// layer: guard
// outside: works
#include "payload.h"

static int mine, theirs, shared;
static volatile int stop;

static void *swap(void *none) {
    while (!stop) {
        dup2(theirs, shared);
        dup2(mine, shared);
    }
    return NULL;
}

static void attempt(void) {
    pthread_t thread;
    char *path = in("ro", "file.txt");
    theirs = open(path, O_RDONLY);
    if (theirs < 0) blocked("open");
    mine = own_file("mine", 0644);
    shared = dup(mine);
    if (pthread_create(&thread, NULL, swap, NULL)) skip("no thread");
    mode_t before = stat_of(path).st_mode;
    for (double end = seconds() + 0.5; seconds() < end;) {
        fchmod(shared, 0600);
        if (stat_of(path).st_mode != before) worked("won the race for the descriptor");
    }
    stop = 1;
    no_effect("racing fchmod");
}
