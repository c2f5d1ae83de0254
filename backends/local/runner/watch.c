/* Watches one process of one job while it runs: hears signals, timers and what the init says, and enforces the limits. */
#include "runner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* How long the init may take to kill before it is killed itself; only one that hangs or was halted. */
static const int64_t PATIENCE_NS = 3000 * INT64_C(1000000);

static int64_t earlier(int64_t a, int64_t b) {
    return a < b ? a : b;
}

void watch_arm(struct runner *self) {
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
    watch_arm(self);
}

static void on_stop(struct runner *self) {
    /* Without the caller's file it is the machine going down, or a person: same mercy, another reason. */
    bool asked = record_exists(self->folder, "stopped");
    if (self->meeting) { /* nothing runs yet: there is nobody to be merciful to */
        if (self->end.reason == REASON_NONE)
            self->end.reason = asked ? REASON_STOPPED : REASON_TERMINATED;
        return;
    }
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
    watch_arm(self);
}

static void on_report(struct runner *self) {
    struct failure failure;
    ssize_t n = read(self->report, &failure, sizeof failure);
    if (n < 0 || (n == sizeof failure && failure.reason == REASON_NONE)) /* none: it says that it is ready */
        return;
    if (n == sizeof failure && !self->announced) { /* else it was stopped first, and never was to run */
        self->end.failure = failure;
        self->end.reason = failure.reason;
        start_tell(self, failure.reason == REASON_EXEC_FAILED        ? CODE_EXEC_FAILED
                       : failure.reason == REASON_ISOLATION_FAILED ? CODE_ISOLATION_FAILED
                                                                   : CODE_SETUP_FAILED);
    } else {
        /* Nothing said and all ends closed: exec closed them. */
        start_tell(self, CODE_RUNNING);
        if (self->end.failure.detail == NULL) /* a path of the spec, which the record will name */
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
        watch_arm(self);
    } else if (n == 0) {
        close(self->control);
        self->control = -1;
    }
}

void watch_hear(struct runner *self) {
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

void watch_run(struct runner *self) {
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
            watch_hear(self);
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
