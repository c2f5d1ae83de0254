/* comity-runner DIR: supervises one process of one job, and outlives the control plane that asked for it.
 * comity-runner --serve: the same for each folder that is named to it, without the cost of an exec.
 *
 * The control plane prepares DIR, runs this and is told by the exit status whether the job runs; from
 * then on the two share nothing but DIR and signals. The runner enforces the limits, kills what the job
 * leaves behind, and writes how it ended, so that whichever control plane comes next can adopt it.
 * It is not a container runtime, and it knows nothing of jobs, nodes or retries. The contract is
 * PROTOCOL.md; the process tree is caller -> (gone, or the server's starter), runner -> init -> job. */
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CALL_CLOSE_RANGE = 436 };
static const int64_t NEVER = INT64_MAX;
static const int64_t MS = 1000000;
/* How long the init may take to kill before it is killed itself; only one that hangs or was halted. */
static const int64_t PATIENCE_NS = 3000 * INT64_C(1000000);

struct runner {
    struct spec spec;
    struct outcome end;
    struct log log;
    int folder, lock, notify, control, go, report, signals, timer, tmp;
    size_t points;
    char *point[PATHS_MAX]; /* below `tmp`: where isolation makes mount points that the job did not ask for */
    size_t cgroups;
    char *cgroup[CGROUPS_MAX]; /* for the end, when the spec is long given back */
    pid_t init;
    bool init_ended, announced, served;
    int64_t deadline, kill_at, force_at; /* CLOCK_BOOTTIME: a limit goes on while the machine sleeps */
};

struct message { /* from the runner to the process that the caller waits for */
    int code;
    struct failure failure;
};

static void describe(int fd, const struct message *message) {
    const struct failure *failure = &message->failure;
    if (message->code >= CODE_EXEC_FAILED && failure->step != NULL)
        dprintf(fd, "comity-runner: %s %s: %s\n", failure->step, failure->detail == NULL ? "" : failure->detail,
                strerror(failure->error));
}

static void announce(struct runner *self, int code) {
    struct message message = {code, self->end.failure};
    if (self->announced)
        return;
    self->announced = true;
    /* Where writing fails the caller was killed meanwhile. Nobody waits; the files say it all. */
    if (self->served) {
        dprintf(self->notify, "%d\n", code);
        describe(self->notify, &message);
    } else if (write(self->notify, &message, sizeof message) < 0) {
    }
    close(self->notify);
}

static int64_t earlier(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static void arm(struct runner *self) {
    int64_t at = earlier(self->deadline, earlier(self->kill_at, self->force_at));
    struct itimerspec when = {0};
    if (at != NEVER)
        when.it_value = (struct timespec){.tv_sec = at / 1000000000, .tv_nsec = at % 1000000000};
    timerfd_settime(self->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void order(const struct runner *self, char what) {
    send(self->control, &what, 1, MSG_NOSIGNAL | MSG_DONTWAIT); /* a dead init needs no orders */
}

static void end_job(struct runner *self, enum reason reason, int64_t grace_ms) {
    /* Too late to be the cause: the job has ended, and what is left of it is being killed. */
    if (self->end.main_ended && self->end.reason == REASON_NONE)
        return;
    if (self->end.reason == REASON_NONE)
        self->end.reason = reason;
    self->deadline = NEVER;
    if (self->kill_at == NEVER && grace_ms > 0)
        order(self, 'T');
    /* Asking again may shorten the grace, never lengthen it. */
    self->kill_at = earlier(self->kill_at, clock_ns(CLOCK_BOOTTIME) + grace_ms * MS);
    arm(self);
}

static void on_stop(struct runner *self) {
    /* Without the caller's file it is the machine going down, or a person: same mercy, another reason. */
    bool asked = record_exists(self->folder, "stopped");
    end_job(self, asked ? REASON_STOPPED : REASON_TERMINATED, record_grace_ms(self->folder, self->spec.grace_ms));
}

static void on_timer(struct runner *self) {
    uint64_t ignored;
    if (read(self->timer, &ignored, sizeof ignored) < 0 && errno != EAGAIN)
        return;
    int64_t now = clock_ns(CLOCK_BOOTTIME);
    if (now >= self->deadline)
        end_job(self, REASON_TIMEOUT, self->spec.grace_ms);
    if (now >= self->kill_at) {
        order(self, 'K');
        self->kill_at = NEVER;
        self->force_at = now + PATIENCE_NS;
    } else if (now >= self->force_at) {
        kill(self->init, SIGKILL);
        self->force_at = NEVER;
    }
    arm(self);
}

static void on_report(struct runner *self) {
    struct failure failure;
    ssize_t n = read(self->report, &failure, sizeof failure);
    if (n < 0)
        return;
    if (n == sizeof failure && !self->announced) { /* else it was stopped first, and never was to run */
        self->end.failure = failure;
        self->end.reason = failure.reason;
        announce(self, failure.reason == REASON_EXEC_FAILED        ? CODE_EXEC_FAILED
                       : failure.reason == REASON_ISOLATION_FAILED ? CODE_ISOLATION_FAILED
                                                                   : CODE_SETUP_FAILED);
    } else {
        /* Nothing said and all ends closed: exec closed them. */
        announce(self, CODE_RUNNING);
        spec_release(&self->spec);
    }
    close(self->report);
    self->report = -1;
}

static void on_control(struct runner *self) {
    int status;
    ssize_t n = recv(self->control, &status, sizeof status, MSG_DONTWAIT);
    if (n == sizeof status && !self->end.main_ended) {
        self->end.main_ended = true;
        self->end.main_status = status;
        self->end.ended_ns = clock_ns(CLOCK_REALTIME);
        self->end.ended_boottime_ns = clock_ns(CLOCK_BOOTTIME);
        self->deadline = NEVER;
        if (self->end.reason == REASON_NONE)
            self->force_at = self->end.ended_boottime_ns + PATIENCE_NS;
        arm(self);
    } else if (n == 0) {
        close(self->control);
        self->control = -1;
    }
}

static void on_signals(struct runner *self) {
    struct signalfd_siginfo info;
    while (read(self->signals, &info, sizeof info) == sizeof info)
        if (info.ssi_signo != SIGCHLD)
            on_stop(self);
    struct rusage usage;
    int status;
    pid_t pid;
    while ((pid = wait4(-1, &status, WNOHANG | WUNTRACED, &usage)) > 0) {
        if (WIFSTOPPED(status)) {
            kill(pid, SIGCONT); /* an init halted by a job of the same user would report no end */
        } else if (pid == self->init) {
            self->init_ended = true;
            self->end.usage = usage; /* its own, which is next to nothing, and that of all it has reaped */
        }
    }
}

static void supervise(struct runner *self) {
    while (!self->init_ended) {
        struct pollfd on[] = {{.fd = self->report, .events = POLLIN},
                              {.fd = self->control, .events = POLLIN},
                              {.fd = self->timer, .events = POLLIN},
                              {.fd = self->signals, .events = POLLIN},
                              {.fd = self->log.pipe, .events = POLLIN}};
        if (poll(on, sizeof on / sizeof *on, -1) < 0)
            continue;
        if (on[0].revents != 0)
            on_report(self);
        if (on[1].revents != 0)
            on_control(self);
        if (on[2].revents != 0)
            on_timer(self);
        if (on[3].revents != 0)
            on_signals(self);
        if (on[4].revents != 0 && !log_copy(&self->log)) {
            close(self->log.pipe);
            self->log.pipe = -1;
        }
    }
    /* What the init still had to say lies in the sockets; then whoever it left, if it was killed. */
    if (self->report >= 0)
        on_report(self);
    if (self->control >= 0)
        on_control(self);
    processes_sweep(false);
    /* Every writer is dead: what is in the pipe is all there will be. */
    if (self->log.pipe >= 0) {
        fcntl(self->log.pipe, F_SETFL, O_NONBLOCK);
        while (log_copy(&self->log)) {
        }
    }
}

/* Answers 0 where this process now owns DIR and has the right to start, else the code to leave with. */
static int claim(struct runner *self) {
    self->lock = openat(self->folder, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (self->lock < 0)
        return CODE_NO_FOLDER;
    /* A record lock, not flock: the kernel tells anyone who asks (F_GETLK) the pid of its holder, and
     * nobody but this process holds it, whatever else inherits the descriptor. */
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(self->lock, F_SETLK, &whole) != 0)
        return errno == EAGAIN || errno == EACCES ? CODE_LOCKED : CODE_NO_FOLDER;
    if (record_exists(self->folder, "started"))
        return CODE_STARTED_BEFORE;
    return record_exists(self->folder, "stopped") ? CODE_FENCED : 0;
}

static void remember(struct runner *self, enum reason reason, const char *step, const char *detail) {
    if (self->end.reason == REASON_NONE) {
        self->end.reason = reason;
        self->end.failure = (struct failure){reason, errno, step, detail};
    }
}

/* What is revealed below /tmp needs folders there to be mounted on, and there they stay, of root and empty. Noted
 * now, for the spec is given back once the job runs. */
static void note_points(struct runner *self) {
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

/* Opens the door of each control group. One that is not there is a limit that would not hold: nothing is started. */
static bool open_cgroups(struct runner *self) {
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
static void leave_cgroups(struct runner *self) {
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

/* Forks the init, which prepares the isolation and the job's process, which waits for the word to execute. */
static void prepare(struct runner *self) {
    int control[2], go[2], report[2], output[2] = {-1, -1};
    self->log.file = openat(self->folder, "log", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (self->log.file < 0)
        return remember(self, REASON_SETUP_FAILED, "log", NULL);
    bool copying = self->spec.log_bytes_max > 0;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) != 0 || pipe2(go, O_CLOEXEC) != 0 ||
        pipe2(report, O_CLOEXEC) != 0 || (copying && pipe2(output, O_CLOEXEC) != 0))
        return remember(self, REASON_SETUP_FAILED, "pipe", NULL);
    int to_job = copying ? output[1] : self->log.file;
    fcntl(to_job, F_SETFL, copying ? 0 : O_APPEND);
    /* Else the job, as its own user, could not open its own /dev/stderr. */
    if (self->spec.has_uid && fchown(to_job, self->spec.uid, self->spec.gid) != 0)
        return remember(self, REASON_SETUP_FAILED, "log", NULL);
    if (!open_cgroups(self))
        return remember(self, REASON_SETUP_FAILED, "cgroup", self->spec.cgroup[self->cgroups]);
    if ((self->spec.isolate & ISOLATE_PID) && unshare(CLONE_NEWPID) != 0)
        return remember(self, REASON_ISOLATION_FAILED, "unshare", NULL);
    self->init = fork();
    if (self->init < 0)
        return remember(self, REASON_SETUP_FAILED, "fork", NULL);
    if (self->init == 0) {
        /* Nothing of the runner's may stay open here: neither its end of the control socket, whose
         * closing is the news of its death, nor the attempt folder, which isolation is about to hide. */
        int mine[] = {self->folder, self->lock, self->notify, self->signals, self->timer, self->tmp, control[0],
                      go[1], report[0], copying ? self->log.file : -1, output[0]};
        for (size_t i = 0; i < sizeof mine / sizeof *mine; i++)
            if (mine[i] >= 0)
                close(mine[i]);
        init_main(&self->spec, control[1], go[0], report[1], to_job);
    }
    close(control[1]);
    close(go[0]);
    close(report[1]);
    close(to_job);
    for (size_t i = 0; i < self->cgroups; i++)
        close(self->spec.join[i]);
    self->control = control[0];
    self->go = go[1];
    self->report = report[0];
    if (copying)
        self->log.pipe = output[0];
    else
        self->log.file = -1;
}

static _Noreturn void run(struct runner *self) {
    setsid();
    prctl(PR_SET_NAME, "comity-runner", 0, 0, 0);
    /* A job of the same user could otherwise attach to this process and have it write what it likes. */
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    umask(077);
    self->control = self->go = self->report = self->tmp = self->log.file = self->log.pipe = self->init = -1;
    self->log.bytes_max = self->spec.log_bytes_max;
    self->deadline = self->kill_at = self->force_at = NEVER;
    /* Blocked before the lock is taken, so that whoever finds this pid by the lock may signal it. */
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    sigset_t heard;
    sigemptyset(&heard);
    sigaddset(&heard, SIGTERM);
    sigaddset(&heard, SIGINT);
    sigaddset(&heard, SIGCHLD);
    self->signals = signalfd(-1, &heard, SFD_CLOEXEC | SFD_NONBLOCK);
    self->timer = timerfd_create(CLOCK_BOOTTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    int code = self->signals < 0 || self->timer < 0 ? CODE_NOT_STARTED : claim(self);
    if (code != 0) {
        self->end.failure.error = errno;
        announce(self, code);
        _exit(code);
    }
    note_points(self);
    prepare(self);
    self->end.started_ns = clock_ns(CLOCK_REALTIME);
    self->end.started_boottime_ns = clock_ns(CLOCK_BOOTTIME);
    if (self->spec.timeout_ms > 0)
        self->deadline = self->end.started_boottime_ns + self->spec.timeout_ms * MS;
    /* On disk before the job's program is executed: after a power cut, no record means that nothing ever ran. */
    int error = record_started(self->folder, self->end.started_ns, self->end.started_boottime_ns);
    if (error != 0) {
        self->end.failure = (struct failure){REASON_NONE, error, "started", NULL};
        announce(self, CODE_NOT_STARTED);
        _exit(CODE_NOT_STARTED); /* the control socket closes, and the waiting init ends */
    }
    /* A stop may have come since the first look. Either it saw our lock and its signal is pending, or it
     * saw none and its file lies here by now: this order of ours, and its reverse there, leaves no gap. */
    if (self->end.reason == REASON_NONE && record_exists(self->folder, "stopped")) {
        self->end.reason = REASON_STOPPED;
        announce(self, CODE_FENCED);
        close(self->control);
        self->control = -1;
    } else if (self->end.reason == REASON_NONE) {
        if (write(self->go, "G", 1) < 0) {
            /* It could not be set up; the report says why. */
        }
    } else {
        announce(self, self->end.reason == REASON_ISOLATION_FAILED ? CODE_ISOLATION_FAILED : CODE_SETUP_FAILED);
    }
    close(self->go);
    arm(self);
    self->end.oom_kills_before = oom_kills(); /* while the job executes: reading it takes longer than all else here */
    if (self->init > 0)
        supervise(self);
    for (size_t i = 0; self->tmp >= 0 && i < self->points; i++)
        remove_point(self->tmp, self->point[i]);
    leave_cgroups(self);
    /* The lock goes with this process, so it is free only after the record is on disk. */
    self->end.log_truncated = self->log.truncated;
    _exit(outcome_write(self->folder, &self->end));
}

/* What the caller waits for: it learns how the start went, says it, and is gone. */
static int wait_for_start(int notify) {
    struct message message = {.code = CODE_NOT_STARTED};
    ssize_t n;
    do
        n = read(notify, &message, sizeof message);
    while (n < 0 && errno == EINTR);
    describe(STDERR_FILENO, &message);
    return message.code;
}

static int refuse(const struct runner *self, int code, const char *what, const char *why) {
    if (self->served)
        dprintf(self->notify, "%d\ncomity-runner: %s: %s\n", code, what, why);
    else
        fprintf(stderr, "comity-runner: %s: %s\n", what, why);
    return code;
}

/* Opens DIR and reads its spec. */
static int enter(struct runner *self, const char *path) {
    self->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (self->folder < 0)
        return refuse(self, CODE_NO_FOLDER, path, strerror(errno));
    const char *wrong = spec_read(self->folder, &self->spec);
    return wrong == NULL ? 0 : refuse(self, CODE_BAD_SPEC, "spec", wrong);
}

/* Nothing of the caller's stays: no terminal, no pipe it waits on, no folder it may want to unmount. */
static bool let_go(void) {
    int null = open("/dev/null", O_RDWR);
    bool done = null >= 0 && dup2(null, 0) == 0 && dup2(null, 1) == 1 && dup2(null, 2) == 2 && chdir("/") == 0;
    close(null);
    return done;
}

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
static int serve(struct runner *self, char *arguments, size_t room) {
    int requests = fcntl(0, F_DUPFD_CLOEXEC, 3);
    if (requests < 0 || !let_go())
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
            int code = enter(self, path);
            if (code == 0)
                run(self);
            _exit(code);
        }
        if (pid < 0)
            dprintf(answer, "%d\ncomity-runner: fork: %s\n", CODE_NOT_STARTED, strerror(errno));
        close(answer);
    }
    return 0;
}

int main(int argc, char **argv) {
    static struct runner self; /* static: zeroed, and off the stack that the fork copies */
    for (int fd = open("/dev/null", O_RDWR); fd >= 0 && fd < 3;)
        fd = dup(fd); /* a caller may have closed 0, 1 or 2, and then our files would land there */
    if (syscall(CALL_CLOSE_RANGE, 3, ~0U, 0) != 0) /* before Linux 5.9, and in some sandboxes */
        for (int fd = (int)sysconf(_SC_OPEN_MAX); fd-- > 3;)
            close(fd);
    /* Ignored signals survive exec: an ignored SIGCHLD would lose statuses, an ignored SIGPIPE would
     * change how the job's pipelines end. By the system call, because glibc's posix_spawn leaves two
     * signals of its own ignored, which its signal() refuses to change. */
    static const long as_new[8]; /* all zero, whatever the order of the kernel's structure: SIG_DFL */
    for (int number = 1; number < NSIG; number++)
        syscall(SYS_rt_sigaction, number, as_new, NULL, 8);
    if (argc == 2 && strcmp(argv[1], "--probe") == 0)
        return isolation_probe();
    if ((argc == 2 || argc == 3) && strcmp(argv[1], "--serve") == 0)
        return serve(&self, argv[1], strlen(argv[1]) + (argc == 3 ? strlen(argv[2]) + 1 : 0) + 1);
    if (argc != 2 || argv[1][0] == '-') {
        fputs("usage: comity-runner DIR | --probe | --serve\n", stderr);
        return CODE_USAGE;
    }
    int code = enter(&self, argv[1]);
    if (code != 0)
        return code;
    int notify[2];
    if (pipe2(notify, O_CLOEXEC) != 0)
        return CODE_NOT_STARTED;
    pid_t pid = fork();
    if (pid < 0)
        return CODE_NOT_STARTED;
    if (pid > 0) {
        close(notify[1]);
        return wait_for_start(notify[0]);
    }
    close(notify[0]);
    self.notify = notify[1];
    if (!let_go())
        _exit(CODE_NOT_STARTED);
    run(&self);
}
