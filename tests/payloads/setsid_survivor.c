// escape: outlive the sandbox in a session of its own
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
        outlive();
    }
    launched();
}
