/* How a start begins, and how whoever asked for it is told how it went: by main and by the starter alike. */
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int refuse(const struct runner *self, int code, const char *what, const char *why) {
    if (self->served)
        dprintf(self->notify, "%d\ncomity-runner: %s: %s\n", code, what, why);
    else
        fprintf(stderr, "comity-runner: %s: %s\n", what, why);
    return code;
}

/* Opens DIR and reads its spec. */
int start_enter(struct runner *self, const char *path) {
    self->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (self->folder < 0)
        return refuse(self, CODE_NO_FOLDER, path, strerror(errno));
    const char *wrong = spec_read(self->folder, &self->spec);
    return wrong == NULL ? 0 : refuse(self, CODE_BAD_SPEC, "spec", wrong);
}

/* Nothing of the caller's stays: no terminal, no pipe it waits on, no folder it may want to unmount. */
bool start_let_go(void) {
    int null = open("/dev/null", O_RDWR);
    bool done = null >= 0 && dup2(null, 0) == 0 && dup2(null, 1) == 1 && dup2(null, 2) == 2 && chdir("/") == 0;
    close(null);
    return done;
}

void start_describe(int fd, const struct message *message) {
    const struct failure *failure = &message->failure;
    if (message->code >= CODE_EXEC_FAILED && failure->step != NULL)
        dprintf(fd, "comity-runner: %s %s: %s\n", failure->step, failure->detail == NULL ? "" : failure->detail,
                strerror(failure->error));
}

void start_tell(struct runner *self, int code) {
    struct message message = {code, self->end.failure};
    if (self->announced)
        return;
    self->announced = true;
    /* Where writing fails the caller was killed meanwhile. Nobody waits; the files say it all. */
    if (self->served) {
        dprintf(self->notify, "%d\n", code);
        start_describe(self->notify, &message);
    } else if (write(self->notify, &message, sizeof message) < 0) {
    }
    close(self->notify);
}
