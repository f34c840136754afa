// escape: run with signals blocked or ignored by the host, so that limits which signal do nothing
// layer: lockdown
// outside: works
#include "payload.h"

static void attempt(void) {
    sigset_t mask;
    struct sigaction action;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    for (int sig = 1; sig < 32; sig++) {
        if (sigismember(&mask, sig)) worked("signal %d is blocked", sig);
        sigaction(sig, NULL, &action);
        if (action.sa_handler == SIG_IGN) worked("signal %d is ignored", sig);
    }
    no_effect("looking at the signals");
}
