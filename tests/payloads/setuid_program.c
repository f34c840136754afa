// escape: gain privileges by a set-user-id program
// layer: lockdown
// outside: works
#include "payload.h"

static void attempt(void) {
    if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) no_effect("without no_new_privs, exec of a set-user-id program");
    worked("set-user-id programs still count");
}
