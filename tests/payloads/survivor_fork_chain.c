// escape: outlive a killer that goes by pids: each generation forks and dies at once
// layer: tree
// proof: marker
// outside: works
#include "payload.h"

#include "survivor.h"

static void attempt(void) {
    pid_t child = fork();
    if (child < 0) blocked("fork");
    if (!child) {
        setsid();
        for (double end = seconds() + 0.4; seconds() < end;) {
            pid_t next = fork();
            if (next > 0) _exit(0);
        }
        outlive();
    }
    pause_ms(50);
    launched();
}
