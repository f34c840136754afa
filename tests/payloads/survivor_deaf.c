// escape: outlive the sandbox with every signal ignored and no parent-death signal
// layer: tree
// proof: marker
// outside: works
#include "payload.h"

#include "survivor.h"

static void attempt(void) {
    pid_t child = fork();
    if (child < 0) blocked("fork");
    if (!child) {
        for (int sig = 1; sig < 65; sig++) signal(sig, SIG_IGN);
        prctl(PR_SET_PDEATHSIG, 0);
        setpgid(0, 0);
        outlive();
    }
    launched();
}
