// For payloads that try to outlive the sandbox. Leaving a descendant behind proves nothing yet:
// the harness looks for the marker that the descendant makes once the first program is gone.
#ifndef SURVIVOR_H
#define SURVIVOR_H
#include "payload.h"

static pid_t first_program;

__attribute__((constructor)) static void remember_first_program(void) { first_program = getpid(); }

__attribute__((noreturn)) static void outlive(void) {
    for (int fd = 0; fd < 64; fd++) close(fd);
    // A zombie still answers, so wait well beyond the moment it is reaped.
    for (int i = 0; i < 400 && !kill(first_program, 0); i++) pause_ms(5);
    pause_ms(250);
    close(open(join("ws", "marker"), O_WRONLY | O_CREAT, 0644));
    _exit(0);
}

static void launched(void) { worked("left a descendant behind"); }
#endif
