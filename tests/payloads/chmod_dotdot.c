// escape: change the mode of a file outside by ..
// layer: guard
// outside: works
#include "payload.h"

static void attempt(void) {
    char *path;
    in("out", "victim.txt");
    asprintf(&path, "%s/../%s/victim.txt", arg("ws"), strrchr(arg("out"), '/') + 1);
    if (chmod(path, 0600) < 0) blocked("chmod");
    worked("chmod by ..");
}
