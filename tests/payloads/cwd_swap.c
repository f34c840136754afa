// escape: change the working directory between the check and the call of a relative name
// layer: guard
// outside: works
#include "payload.h"

static volatile int stop;

static void *swap(void *none) {
    while (!stop) {
        chdir(arg("out"));
        chdir(arg("ws"));
    }
    return NULL;
}

static void attempt(void) {
    pthread_t thread;
    char *theirs = in("out", "victim.txt");
    own_file("victim.txt", 0644);
    if (chdir(arg("ws")) < 0) blocked("chdir");
    if (pthread_create(&thread, NULL, swap, NULL)) skip("no thread");
    mode_t before = stat_of(theirs).st_mode;
    for (double end = seconds() + 0.5; seconds() < end;) {
        chmod("victim.txt", 0600);
        if (stat_of(theirs).st_mode != before) worked("won the race for the directory");
    }
    stop = 1;
    no_effect("racing chmod");
}
