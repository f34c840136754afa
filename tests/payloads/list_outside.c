// escape: list a directory outside
// layer: landlock
// outside: works
#include "payload.h"

static void attempt(void) {
    in("out", "secret.txt");
    DIR *dir = opendir(arg("out"));
    if (!dir) blocked("opendir");
    struct dirent *entry;
    while ((entry = readdir(dir)))
        if (!strcmp(entry->d_name, "secret.txt")) worked("listed it");
    no_effect("readdir");
}
