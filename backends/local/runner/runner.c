/* The life of one attempt, from the claim of its folder to the record of its end, so that whichever control plane comes
 * next can adopt it. It is not a container runtime, and it knows nothing of jobs, nodes or retries. */
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

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
    if (!holds_open_cgroups(self))
        return remember(self, REASON_SETUP_FAILED, "cgroup", self->spec.cgroup[self->cgroups]);
    if ((self->spec.isolate & ISOLATE_PID) && unshare(CLONE_NEWPID) != 0)
        return remember(self, REASON_ISOLATION_FAILED, "unshare", NULL);
    self->spec.inside = self->inside;
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
        holds_close(self);
        init_main(&self->spec, control[1], go[0], report[1], to_job);
    }
    close(control[1]);
    close(go[0]);
    close(report[1]);
    close(to_job);
    for (size_t i = 0; i < self->cgroups; i++)
        close(self->spec.join[i]);
    if (self->spec.into >= 0)
        close(self->spec.into);
    self->control = control[0];
    self->go = go[1];
    self->report = report[0];
    if (copying)
        self->log.pipe = output[0];
    else
        self->log.file = -1;
}

/* What was prepared is not to run. */
static void refuse(struct runner *self) {
    gang_call_off(self);
    switch (self->end.reason) {
    case REASON_STOPPED: start_tell(self, CODE_FENCED); break;
    case REASON_ISOLATION_FAILED: start_tell(self, CODE_ISOLATION_FAILED); break;
    case REASON_SETUP_FAILED: start_tell(self, CODE_SETUP_FAILED); break;
    default: start_tell(self, CODE_CALLED_OFF);
    }
    /* Its closing is the order to die. */
    if (self->control >= 0)
        close(self->control);
    self->control = -1;
}

/* Makes this process a runner, and the owner of DIR: 0, or the code to leave with. */
static int settle(struct runner *self) {
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
    return self->signals < 0 || self->timer < 0 ? CODE_NOT_STARTED : claim(self);
}

/* Gives the job's process the word, or takes back what was prepared. */
static void begin(struct runner *self) {
    self->end.started_ns = clock_ns(CLOCK_REALTIME);
    self->end.started_boottime_ns = clock_ns(CLOCK_BOOTTIME);
    if (self->spec.timeout_ms > 0)
        self->deadline = self->end.started_boottime_ns + self->spec.timeout_ms * MS;
    /* On disk before the job's program is executed: after a power cut, no record means that nothing ever ran. */
    int error = record_started(self);
    if (error != 0) {
        gang_call_off(self);
        self->end.failure = (struct failure){REASON_NONE, error, "started", NULL};
        start_tell(self, CODE_NOT_STARTED);
        _exit(CODE_NOT_STARTED); /* the control socket closes, and the waiting init ends */
    }
    /* A stop may have come since the first look. Either it saw our lock and its signal is pending, or it
     * saw none and its file lies here by now: this order of ours, and its reverse there, leaves no gap. */
    if (self->end.reason == REASON_NONE && record_exists(self->folder, "stopped"))
        self->end.reason = REASON_STOPPED;
    if (self->end.reason == REASON_NONE && (self->spec.gang <= 1 || gang_meet(self))) {
        if (write(self->go, "G", 1) < 0) {
            /* It could not be set up; the report says why. */
        }
    } else {
        refuse(self);
    }
    close(self->go);
}

_Noreturn void runner_run(struct runner *self) {
    int code = settle(self);
    if (code != 0) {
        self->end.failure.error = errno;
        close(self->lock); /* whoever is told may try again at once */
        start_tell(self, code);
        _exit(code);
    }
    holds_note_points(self);
    holds_take_cpus(self);
    prepare(self);
    if (self->spec.gang > 1)
        gang_prepare(self);
    begin(self);
    watch_arm(self);
    self->end.oom_kills_before = oom_kills(); /* while the job executes: reading it takes longer than all else here */
    if (self->init > 0)
        watch_run(self);
    holds_remove_points(self);
    holds_count_kills(self);
    if (!self->inside)
        holds_leave_cgroups(self);
    holds_close(self); /* all are dead: whoever reads the record finds the CPUs free */
    /* The lock goes with this process, so it is free only after the record is on disk. */
    self->end.log_truncated = self->log.truncated;
    int failed = outcome_write(self->folder, &self->end);
    if (self->inside) /* to move takes a while, which nobody need wait for who reads the record */
        holds_leave_cgroups(self);
    _exit(failed);
}
