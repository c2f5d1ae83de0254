/* The start barrier of a gang: no rank executes before every rank is ready to, or none ever does.
 *
 * The ranks are folders beside each other, and nobody leads: each runner looks at all of them. One is ready when its
 * `started` is on disk and its lock is held, which it is only once its job's process waits for the word. Whoever sees
 * all ready writes `gang` = go into the folder above, whoever cannot or must not wait any longer writes off; the first
 * to write has decided for all, so a rank that is late never starts alone. It needs no control plane: one that dies in
 * between leaves ranks that call it off when their time is up. */
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum decision { OPEN, GO, OFF };
enum { PAUSE_MS_MAX = 20 };

static enum decision decided(const struct runner *self) {
    char word[8];
    if (record_read(self->folder, "../gang", word, sizeof word) == 0)
        return OPEN;
    return strcmp(word, "go\n") == 0 ? GO : OFF;
}

/* Decides, unless somebody has: the name is given to a file that is whole. Answers what holds. */
static enum decision decide(const struct runner *self, enum decision wanted) {
    char temporary[64];
    snprintf(temporary, sizeof temporary, "../.gang-%d", (int)getpid());
    int fd = openat(self->folder, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    const char *word = wanted == GO ? "go\n" : "off\n";
    bool written = fd >= 0 && write(fd, word, strlen(word)) == (ssize_t)strlen(word);
    if (fd >= 0)
        close(fd);
    if (written && linkat(self->folder, temporary, self->folder, "../gang", 0) != 0 && errno != EEXIST)
        written = false;
    unlinkat(self->folder, temporary, 0);
    enum decision found = decided(self);
    /* A full disk: nobody may go on a word that was not written. */
    return found == OPEN ? (written ? OPEN : OFF) : found;
}

/* What one other rank is: GO means ready, OFF that it never will be. */
static enum decision rank_is(const struct runner *self, int rank, const struct stat *own) {
    char path[32], text[8];
    snprintf(path, sizeof path, "../%d", rank);
    int folder = openat(self->folder, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    struct stat info;
    enum decision found = OPEN;
    if (folder < 0 || fstat(folder, &info) != 0) {
        found = OFF;
    } else if (info.st_ino == own->st_ino && info.st_dev == own->st_dev) {
        found = GO; /* and its lock is not to be opened: closing any descriptor of it would let it go */
    } else if (record_read(folder, "started", text, sizeof text) > 0) {
        struct flock asked = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
        int lock = openat(folder, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        bool held = lock >= 0 && fcntl(lock, F_GETLK, &asked) == 0 && asked.l_type != F_UNLCK;
        if (lock >= 0)
            close(lock);
        found = held ? GO : OFF;
    }
    if (folder >= 0)
        close(folder);
    return found;
}

static enum decision all_are(const struct runner *self) {
    struct stat own;
    if (fstat(self->folder, &own) != 0)
        return OFF;
    enum decision found = GO;
    for (int rank = 0; rank < self->spec.gang && found != OFF; rank++) {
        enum decision one = rank_is(self, rank, &own);
        if (one != GO)
            found = one;
    }
    return found;
}

void gang_call_off(const struct runner *self) {
    if (self->spec.gang > 1)
        decide(self, OFF);
}

/* Waits a moment for signals and for what the job's process has to say. */
static void wait_a_moment(struct runner *self, int ms) {
    struct pollfd on[] = {{.fd = self->signals, .events = POLLIN}, {.fd = self->report, .events = POLLIN}};
    if (poll(on, 2, ms) <= 0)
        return;
    if (on[0].revents != 0)
        watch_hear(self);
    if (on[1].revents != 0) {
        struct failure failure;
        ssize_t n = read(self->report, &failure, sizeof failure);
        if (n == sizeof failure && failure.reason == REASON_NONE) {
            self->ready = true;
        } else if (self->end.reason == REASON_NONE) {
            bool said = n == sizeof failure;
            self->end.failure = said ? failure : (struct failure){REASON_CALLED_OFF, EPIPE, "gang", NULL};
            self->end.reason = self->end.failure.reason;
        }
    }
}

static int64_t patience(const struct runner *self) {
    return clock_ns(CLOCK_BOOTTIME) + self->spec.gang_ms * MS;
}

static void called_off(struct runner *self, int error) {
    if (self->end.reason == REASON_NONE) {
        self->end.reason = REASON_CALLED_OFF;
        self->end.failure = (struct failure){REASON_CALLED_OFF, error, "gang", NULL};
    }
}

void gang_prepare(struct runner *self) {
    int64_t until = patience(self);
    self->meeting = true;
    while (self->end.reason == REASON_NONE && !self->ready) {
        if (clock_ns(CLOCK_BOOTTIME) >= until)
            called_off(self, ETIMEDOUT);
        else
            wait_a_moment(self, PAUSE_MS_MAX);
    }
    self->meeting = false;
    if (self->end.reason != REASON_NONE)
        gang_call_off(self); /* before `started` is there, which would say that this rank is ready */
}

bool gang_meet(struct runner *self) {
    int64_t until = patience(self);
    int pause = 1;
    enum decision found;
    self->meeting = true;
    while ((found = decided(self)) == OPEN && self->end.reason == REASON_NONE) {
        enum decision all = all_are(self);
        bool late = clock_ns(CLOCK_BOOTTIME) >= until;
        if (all != OPEN || late) {
            found = decide(self, all == GO ? GO : OFF);
            if (found == OFF)
                called_off(self, late ? ETIMEDOUT : ECANCELED);
            break;
        }
        wait_a_moment(self, pause);
        pause = pause < PAUSE_MS_MAX ? pause * 2 : PAUSE_MS_MAX;
    }
    self->meeting = false;
    if (found == OFF)
        called_off(self, ECANCELED);
    return found == GO && self->end.reason == REASON_NONE;
}
