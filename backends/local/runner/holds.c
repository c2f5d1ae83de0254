/* What an attempt holds of the machine besides its processes, and gives back at its end: control groups, and folders
 * that isolation has to make below a /tmp of the job's own. */
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Opens the door of each control group. One that is not there is a limit that would not hold: nothing is started. */
bool holds_open_cgroups(struct runner *self) {
    struct spec *spec = &self->spec;
    for (size_t i = 0; i < spec->cgroups; i++) {
        char path[PATH_MAX + 16];
        snprintf(path, sizeof path, "%s/cgroup.procs", spec->cgroup[i]);
        spec->join[i] = open(path, O_WRONLY | O_CLOEXEC);
        if (spec->join[i] < 0 || (self->cgroup[i] = strdup(spec->cgroup[i])) == NULL)
            return false;
        self->cgroups++;
    }
    return true;
}

/* Asks the control groups how often memory ran out, and removes them: everyone in them is dead. */
void holds_leave_cgroups(struct runner *self) {
    self->end.cgroup_oom_kills = -1;
    for (size_t i = 0; i < self->cgroups; i++) {
        int64_t kills = cgroup_oom_kills(self->cgroup[i]);
        if (kills > self->end.cgroup_oom_kills)
            self->end.cgroup_oom_kills = kills;
        /* A group may be busy for a moment after its last process was reaped. */
        for (int tries = 0; rmdir(self->cgroup[i]) != 0 && errno == EBUSY && tries < 100; tries++)
            nanosleep(&(struct timespec){0, MS}, NULL);
    }
}

/* What is revealed below /tmp needs folders there to be mounted on, and there they stay, of root and empty. Noted
 * now, for the spec is given back once the job runs. */
void holds_note_points(struct runner *self) {
    if (self->spec.tmp == NULL)
        return;
    for (size_t i = 0; i < self->spec.reveals; i++) {
        const char *path = self->spec.reveal[i].path;
        size_t skip = strncmp(path, "/tmp/", 5) == 0 ? 5 : strncmp(path, "/var/tmp/", 9) == 0 ? 9 : 0;
        if (skip > 0 && (self->point[self->points] = strdup(path + skip)) != NULL)
            self->points++;
    }
    if (self->points > 0)
        self->tmp = open(self->spec.tmp, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Removes one, innermost first, never through a link of the job's, and nothing but empty things of our own. */
static void remove_point(int at, char *path) {
    char *rest = strchr(path, '/');
    if (rest != NULL)
        *rest++ = '\0';
    struct stat info;
    if (fstatat(at, path, &info, AT_SYMLINK_NOFOLLOW) != 0 || info.st_uid != geteuid())
        return;
    if (S_ISREG(info.st_mode)) {
        if (rest == NULL && info.st_size == 0)
            unlinkat(at, path, 0);
        return;
    }
    int below = rest == NULL ? -1 : openat(at, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (below >= 0) {
        remove_point(below, rest);
        close(below);
    }
    unlinkat(at, path, AT_REMOVEDIR);
}

void holds_remove_points(struct runner *self) {
    for (size_t i = 0; self->tmp >= 0 && i < self->points; i++)
        remove_point(self->tmp, self->point[i]);
}
