/* All descendants of the calling process: signal them, end them.
 *
 * A caller that is a subreaper (or the init of a PID namespace) inherits each orphan below it, so a
 * process that forks twice and calls setsid is still found by its parents. Not a process group, not a
 * session: a job leaves those with one call. */
#include "runner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct entry {
    pid_t pid, parent;
    bool ours;
};

static pid_t parent_of(const char *pid) {
    char path[64], text[512];
    snprintf(path, sizeof path, "/proc/%.20s/stat", pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[n < 0 ? 0 : n] = '\0';
    int parent;
    const char *after_name = strrchr(text, ')');
    return after_name != NULL && sscanf(after_name + 1, " %*c %d", &parent) == 1 ? (pid_t)parent : -1;
}

static int by_pid(const void *left, const void *right) {
    pid_t a = ((const struct entry *)left)->pid, b = ((const struct entry *)right)->pid;
    return (a > b) - (a < b);
}

static void signal_tree(int signal_number) {
    DIR *proc = opendir("/proc");
    if (proc == NULL)
        return;
    /* Address space for more processes than Linux can have (2^22); only what is used costs memory. */
    const size_t room = ((size_t)1 << 22) * sizeof(struct entry);
    struct entry *all = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    size_t count = 0;
    if (all == MAP_FAILED) {
        closedir(proc);
        return;
    }
    for (struct dirent *item; (item = readdir(proc)) != NULL && count < (size_t)1 << 22;) {
        pid_t parent = item->d_name[0] < '1' || item->d_name[0] > '9' ? -1 : parent_of(item->d_name);
        if (parent > 0)
            all[count++] = (struct entry){.pid = atoi(item->d_name), .parent = parent};
    }
    closedir(proc);
    /* Mark by levels: children of this process, then of those, until a pass finds nobody new. The kernel
     * lists /proc in the order of the pids, so a parent is found by bisection, and as most are older than
     * their children one pass finds nearly all. */
    pid_t self = getpid();
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < count; i++) {
            if (all[i].ours)
                continue;
            struct entry key = {.pid = all[i].parent};
            struct entry *parent = bsearch(&key, all, count, sizeof *all, by_pid);
            if (all[i].parent == self || (parent != NULL && parent->ours))
                all[i].ours = more = true;
        }
    }
    for (size_t i = 0; i < count; i++)
        if (all[i].ours)
            kill(all[i].pid, signal_number);
    munmap(all, room);
}

/* The quick way to the direct children; one read, so that little can be forked behind its back. */
static bool kill_children(void) {
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false; /* a kernel without CONFIG_PROC_CHILDREN */
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n < 0 ? 0 : n] = '\0';
    for (char *at = text, *end; n > 0; at = end) {
        long pid = strtol(at, &end, 10);
        /* A number at the edge of the buffer may be cut; the next round reads it whole. */
        if (end == at || *end != ' ')
            break;
        kill((pid_t)pid, SIGKILL);
    }
    return true;
}

void processes_signal(int signal_number, bool own_pid_namespace) {
    /* From an init, -1 means everybody in the namespace but itself, in one step that no fork escapes. */
    if (own_pid_namespace)
        kill(-1, signal_number);
    else
        signal_tree(signal_number);
}

void processes_sweep(bool own_pid_namespace) {
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    for (bool first = true;; first = false) {
        pid_t reaped;
        while ((reaped = waitpid(-1, NULL, WNOHANG)) > 0) {
        }
        if (reaped < 0 && errno == ECHILD)
            return; /* the usual case, found without reading /proc at all */
        if (own_pid_namespace || first || !kill_children())
            processes_signal(SIGKILL, own_pid_namespace);
        /* SIGCHLD is blocked everywhere here, so one that came since the wait above is still pending. */
        sigtimedwait(&child, NULL, &(struct timespec){.tv_nsec = 5000000});
    }
}
