// race KIND TRIES: makes a supervised call again and again while something else changes what it
// means. Names with "ok" are allowed, names with "no" are denied. Prints: tries allowed refused wins.
// A win is the denied thing having happened.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

static long allowed, refused, wins;
static atomic_int stop;
static char *path;                  // the argument that is changed
static struct sockaddr_in *address; // so is this
static int ok_port, no_port;
static int dir_ok, dir_no, dir_fd;

static void die(const char *what) {
    perror(what);
    exit(2);
}

// Some time, so that either value is seen.
static void linger(void) {
    static _Thread_local unsigned seed = 1;
    seed = seed * 1103515245 + 12345;
    for (unsigned i = (seed >> 16) % 2000; i > 0; i--) __asm__ volatile("" ::: "memory");
}

// Another thread's or process's hand on the argument.
static void *flip_path(void *arg) {
    volatile char *name = path + 2;
    (void)arg;
    while (!stop) {
        name[0] = 'o', name[1] = 'k';
        linger();
        name[0] = 'n', name[1] = 'o';
        linger();
    }
    return NULL;
}

static void *flip_port(void *arg) {
    volatile in_port_t *port = &address->sin_port;
    (void)arg;
    while (!stop) {
        *port = htons(ok_port);
        linger();
        *port = htons(no_port);
        linger();
    }
    return NULL;
}

static void *flip_protection(void *arg) {
    (void)arg;
    while (!stop) {
        mprotect(path, 4096, PROT_NONE);
        mprotect(path, 4096, PROT_READ | PROT_WRITE);
    }
    return NULL;
}

static void *flip_link(void *arg) {
    (void)arg;
    while (!stop) {
        unlink("swap");
        symlink("dir_ok", "swap");
        unlink("swap");
        symlink("dir_no", "swap");
    }
    return NULL;
}

static void *flip_dirs(void *arg) {
    (void)arg;
    while (!stop) syscall(SYS_renameat2, AT_FDCWD, "dir_a", AT_FDCWD, "dir_b", RENAME_EXCHANGE);
    return NULL;
}

static void *flip_cwd(void *arg) {
    (void)arg;
    while (!stop) {
        if (fchdir(dir_ok)) return NULL;
        linger();
        if (fchdir(dir_no)) return NULL;
        linger();
    }
    return NULL;
}

static void *flip_fd(void *arg) {
    (void)arg;
    while (!stop) {
        dup2(dir_ok, dir_fd);
        linger();
        dup2(dir_no, dir_fd);
        linger();
    }
    return NULL;
}

static void tally(long result) {
    if (result >= 0) allowed++;
    else refused++;
}

static int exists(const char *name) {
    struct stat status;
    return lstat(name, &status) == 0;
}

// Whether an open file is a denied one: those are not empty.
static void judge_open(int fd) {
    char byte;
    tally(fd);
    if (fd < 0) return;
    if (pread(fd, &byte, 1, 0) == 1) wins++;
    close(fd);
}

static void try_open(void) { judge_open(open(path, O_RDONLY)); }

static void try_write(void) {
    int fd = open(path, O_RDWR);
    judge_open(fd);
}

static void make(const char *name, const char *text) {
    int fd = open(name, O_CREAT | O_WRONLY | O_TRUNC, 0644);
    if (fd < 0) return;
    if (write(fd, text, strlen(text)) < 0) die("write");
    close(fd);
}

static void try_unlink(void) {
    int fd = open("r_ok", O_CREAT | O_WRONLY, 0644);
    if (fd >= 0) close(fd);
    tally(unlink(path));
    if (!exists("r_no")) {
        wins++;
        make("r_no", "denied");
    }
}

static void try_rename(void) {
    int fd = open("r_ok", O_CREAT | O_WRONLY, 0644);
    if (fd >= 0) close(fd);
    tally(rename(path, "renamed"));
    if (!exists("r_no")) {
        wins++;
        rename("renamed", "r_no");
    }
}

static void try_mkdir(void) {
    rmdir("r_ok");
    tally(mkdir(path, 0755));
    if (exists("r_no")) {
        wins++;
        rmdir("r_no");
    }
}

static void try_chmod(void) {
    struct stat status;
    tally(chmod(path, 0600));
    if (stat("r_no", &status) == 0 && (status.st_mode & 0777) == 0600) {
        wins++;
        strcpy(path, "r_no");
        chmod(path, 0644);
    }
}

static void try_connect(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct linger hard = {1, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    tally(connect(fd, (struct sockaddr *)address, sizeof *address));
    struct sockaddr_in peer;
    socklen_t length = sizeof peer;
    if (getpeername(fd, (struct sockaddr *)&peer, &length) == 0 && ntohs(peer.sin_port) == no_port)
        wins++;
    close(fd);
}

static void try_bind(void) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    tally(bind(fd, (struct sockaddr *)address, sizeof *address));
    struct sockaddr_in own;
    socklen_t length = sizeof own;
    if (getsockname(fd, (struct sockaddr *)&own, &length) == 0 && ntohs(own.sin_port) == no_port)
        wins++;
    close(fd);
}

// The same name in two directories: the denied one's file isn't empty.
static void try_relative(void) { judge_open(open("file", O_RDONLY)); }
static void try_dirfd(void) { judge_open(openat(dir_fd, "file", O_RDONLY)); }
static void try_swapped(void) { judge_open(open("swap/file", O_RDONLY)); }

// dir_a/t is a directory, dir_b/t a link to the denied one; the two change places.
static void try_ancestor(void) {
    int fd = open("dir_ok/spare", O_CREAT | O_WRONLY, 0644);
    if (fd >= 0) close(fd);
    link("dir_ok/spare", "dir_a/t/file");
    tally(unlink("dir_a/t/file"));
    if (!exists("dir_no/file")) {
        wins++;
        make("dir_no/file", "denied");
    }
}

// Executing: the program says which one it is by its exit code. 42 is the denied one.
static char *argv[] = {"r", "x", NULL};
static char *env[] = {NULL};

static void *exec_now(void *arg) {
    (void)arg;
    execve(path, argv, env);
    return NULL;
}

static void *exec_and_flip(void *arg) {
    (void)arg;
    flip_path(NULL);
    return NULL;
}

static void try_exec_with(int threads, int leader) {
    int status;
    pid_t child = fork();
    if (child < 0) die("fork");
    if (child == 0) {
        pthread_t other;
        pthread_create(&other, NULL, exec_and_flip, NULL);
        usleep(rand() % 300);
        for (int i = 0; i < threads; i++) pthread_create(&other, NULL, exec_now, NULL);
        if (leader) {
            exec_now(NULL);
            _exit(1);
        }
        usleep(200000);
        _exit(1);
    }
    if (waitpid(child, &status, 0) != child) die("waitpid");
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    tally(code == 41 || code == 42 ? 0 : -1);
    if (code == 42) wins++;
}

static void try_exec(void) { try_exec_with(0, 1); }
static void try_exec_thread(void) { try_exec_with(1, 0); }
static void try_exec_two(void) { try_exec_with(2, 1); }

static void on_alarm(int number) { (void)number; }

static void storm(int flags) {
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = flags};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval often = {{0, 1000}, {0, 1000}};
    setitimer(ITIMER_REAL, &often, NULL);
}

struct kind {
    const char *name;
    void (*attempt)(void);
    void *(*flip)(void *);
};

static const struct kind kinds[] = {
    {"open", try_open, flip_path},          {"write", try_write, flip_path},
    {"unlink", try_unlink, flip_path},      {"rename", try_rename, flip_path},
    {"mkdir", try_mkdir, flip_path},        {"chmod", try_chmod, flip_path},
    {"connect", try_connect, flip_port},    {"bind", try_bind, flip_port},
    {"protect", try_open, flip_protection}, {"alias", try_open, NULL},
    {"cwd", try_relative, flip_cwd},        {"dirfd", try_dirfd, flip_fd},
    {"link", try_swapped, flip_link},       {"ancestor", try_ancestor, flip_dirs},
    {"exec", try_exec, NULL},               {"exec-thread", try_exec_thread, NULL},
    {"exec-two", try_exec_two, NULL},       {"storm", try_open, flip_path},
    {"storm-restart", try_unlink, flip_path},
};

int main(int argc, char **args) {
    if (argc < 3) return 2;
    const struct kind *kind = NULL;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kinds[i].name, args[1])) kind = &kinds[i];
    if (!kind) return 2;
    long tries = atol(args[2]);
    if (argc > 4) {
        ok_port = atoi(args[3]);
        no_port = atoi(args[4]);
    }
    // Shared, so that a child can be the other hand.
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) die("mmap");
    path = page;
    strcpy(path, !strcmp(kind->name, "protect") ? "r_no" : "r_ok");
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons(ok_port)};
    inet_pton(AF_INET, "127.0.0.1", &place.sin_addr);
    address = malloc(sizeof place);
    *address = place;
    dir_ok = open("dir_ok", O_PATH | O_DIRECTORY);
    dir_no = open("dir_no", O_PATH | O_DIRECTORY);
    dir_fd = dup(dir_ok);

    pid_t child = 0;
    pthread_t other;
    if (!strcmp(kind->name, "alias")) {
        child = fork();
        if (child == 0) {
            flip_path(NULL);
            _exit(0);
        }
    } else if (kind->flip && pthread_create(&other, NULL, kind->flip, NULL)) {
        die("pthread_create");
    }
    if (!strcmp(kind->name, "storm")) storm(0);
    if (!strcmp(kind->name, "storm-restart")) storm(SA_RESTART);
    for (long i = 0; i < tries; i++) kind->attempt();
    stop = 1;
    if (child > 0) kill(child, SIGKILL);
    printf("%ld %ld %ld %ld\n", tries, allowed, refused, wins);
    return 0;
}
