// escape: read a secret in the environment
// layer: lockdown
// outside: works
#include "payload.h"

static void attempt(void) {
    for (char **entry = environ; *entry; entry++)
        if (strstr(*entry, "CANARY-HOST")) worked("found it");
    no_effect("looking through the environment");
}
