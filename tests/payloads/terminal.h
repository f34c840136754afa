// For payloads that abuse a terminal: whose, matters less than that the ioctl gets through.
#ifndef TERMINAL_H
#define TERMINAL_H
#include "payload.h"

static inline int own_terminal(void) {
    int number, unlock = 0;
    char name[64];
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    if (master < 0) return -1;
    if (ioctl(master, TIOCGPTN, &number) < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0) return -1;
    snprintf(name, sizeof name, "/dev/pts/%d", number);
    return open(name, O_RDWR | O_NOCTTY);
}

static inline int terminal(void) {
    int fd = open("/dev/tty", O_RDWR | O_NOCTTY);
    for (int std = 0; fd < 0 && std < 3; std++)
        if (isatty(std)) fd = std;
    if (fd < 0) fd = own_terminal();
    if (fd < 0) blocked("open of any terminal");
    return fd;
}
#endif
