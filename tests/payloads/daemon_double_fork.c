// escape: outlive the sandbox as a daemon whose parent is gone
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
        pid_t grandchild = fork();
        if (grandchild) _exit(grandchild < 0);
        outlive();
    }
    if (reap(child)) blocked("second fork");
    launched();
}
