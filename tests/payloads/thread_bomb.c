// escape: more threads than allowed
// layer: tasks
// outside: works
#include "payload.h"

static void *hold(void *none) {
    pause();
    return NULL;
}

static void attempt(void) {
    pthread_attr_t small;
    pthread_t thread;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 65536);
    for (int made = 0; made < 200; made++) {
        errno = pthread_create(&thread, &small, hold, NULL);
        if (errno) {
            say("%d threads\n", made);
            blocked("pthread_create");
        }
    }
    worked("200 threads");
}
