/* comity-runner --serve: starts a runner for each folder that its caller names, for a third of what an exec costs. It
 * keeps nothing of them, and they do not end with it. */
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* One request: the path of a folder, and with it the descriptor that the answer goes to. False: no more will come. */
static bool hear(int requests, char *path, size_t room, int *answer) {
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } carried;
    struct iovec text = {path, room - 1};
    struct msghdr message = {
        .msg_iov = &text, .msg_iovlen = 1, .msg_control = &carried, .msg_controllen = sizeof carried};
    ssize_t n = recvmsg(requests, &message, MSG_CMSG_CLOEXEC);
    *answer = -1;
    if (n <= 0)
        return n < 0 && errno == EINTR;
    path[(message.msg_flags & MSG_TRUNC) != 0 ? 0 : n] = '\0'; /* one that is cut would be another folder */
    struct cmsghdr *first = CMSG_FIRSTHDR(&message);
    if (first != NULL && first->cmsg_level == SOL_SOCKET && first->cmsg_type == SCM_RIGHTS &&
        first->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(answer, CMSG_DATA(first), sizeof(int));
    return true;
}

/* Writes the folder over the arguments, so that `ps` says which attempt a runner is for. `room` is what the starter was
 * given: its own argument and a filler. The end of a longer path is kept, for the key of the attempt stands there. */
static void entitle(char *arguments, size_t room, const char *path) {
    if (room == 0)
        return;
    size_t length = strlen(path);
    const char *text = length < room ? path : path + (length - (room - 1));
    memset(arguments, 0, room);
    memcpy(arguments, text, strlen(text));
}

/* Starts a runner for each request that comes in at descriptor 0, until its other end is closed everywhere: by the
 * server, or by the server's death. A runner is forked from here as it is in main, so that each is on its own; what
 * is saved is the exec, and a process that waits for the runner to say how it went: it says so itself. */
int starter_serve(struct runner *self, char *arguments, size_t room) {
    int requests = fcntl(0, F_DUPFD_CLOEXEC, 3);
    if (requests < 0 || !start_let_go())
        return CODE_USAGE;
    setsid(); /* what a terminal sends to the server's group is not for this process */
    prctl(PR_SET_NAME, "comity-starter", 0, 0, 0);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* whoever could attach could start anything, as this user */
    signal(SIGCHLD, SIG_IGN);           /* the kernel reaps: runners say how they went, and their files do */
    records_warm();
    char path[PATH_MAX];
    for (int answer; hear(requests, path, sizeof path, &answer);) {
        if (answer < 0)
            continue;
        pid_t pid = fork();
        if (pid == 0) {
            close(requests); /* first of all: whoever holds it may start anything */
            signal(SIGCHLD, SIG_DFL);
            self->served = true;
            self->notify = answer;
            entitle(arguments, room, path);
            int code = start_enter(self, path);
            if (code == 0)
                runner_run(self);
            _exit(code);
        }
        if (pid < 0)
            dprintf(answer, "%d\ncomity-runner: fork: %s\n", CODE_NOT_STARTED, strerror(errno));
        close(answer);
    }
    return 0;
}
