/* How the job ended, as the text of DIR/exit. */
#include "runner.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

/* Details are paths of the caller's: a newline in one must not look like another line of the record. */
static void plain_text(char *to, size_t room, const char *from) {
    size_t at = 0;
    for (; *from != '\0' && at + 5 < room; from++) {
        unsigned char c = (unsigned char)*from;
        at += (size_t)snprintf(to + at, room - at, c < 0x20 || c == 0x7f || c == '\\' ? "\\x%02x" : "%c", c);
    }
    to[at] = '\0';
}

int outcome_write(int folder, struct outcome *self) {
    static const char *const names[] = {"none", "exited", "signaled", "timeout", "stopped", "terminated", "lost",
                                        "exec-failed", "isolation-failed", "setup-failed", "called-off"};
    if (!self->main_ended) {
        self->ended_ns = clock_ns(CLOCK_REALTIME);
        self->ended_boottime_ns = clock_ns(CLOCK_BOOTTIME);
    }
    bool never_ran = self->reason >= REASON_EXEC_FAILED;
    /* An init that died without a word took the job's status with it. */
    if (self->reason == REASON_NONE)
        self->reason = !self->main_ended              ? REASON_LOST
                       : WIFEXITED(self->main_status) ? REASON_EXITED
                                                      : REASON_SIGNALED;
    char text[8192], detail[4200];
    size_t at = (size_t)snprintf(text, sizeof text, "version=1\nreason=%s\n", names[self->reason]);
    if (self->reason == REASON_EXEC_FAILED)
        /* What a shell would say: not found, or found and not runnable. */
        at += (size_t)snprintf(text + at, sizeof text - at, "code=%d\n", self->failure.error == ENOENT ? 127 : 126);
    else if (self->main_ended && !never_ran && WIFEXITED(self->main_status))
        at += (size_t)snprintf(text + at, sizeof text - at, "code=%d\n", WEXITSTATUS(self->main_status));
    else if (self->main_ended && !never_ran)
        at += (size_t)snprintf(text + at, sizeof text - at, "signal=%d\n", WTERMSIG(self->main_status));
    if (never_ran) {
        plain_text(detail, sizeof detail, self->failure.detail == NULL ? "" : self->failure.detail);
        at += (size_t)snprintf(text + at, sizeof text - at, "step=%s\nerrno=%d\ndetail=%s\n", self->failure.step,
                               self->failure.error, detail);
    }
    int64_t oom = oom_kills();
    snprintf(text + at, sizeof text - at,
             "started_ns=%lld\nended_ns=%lld\nstarted_boottime_ns=%lld\nended_boottime_ns=%lld\nmax_rss_kib=%ld\n"
             "user_us=%lld\nsystem_us=%lld\nlog_truncated=%d\noom_kills=%lld\ncgroup_oom_kills=%lld\n",
             (long long)self->started_ns, (long long)self->ended_ns, (long long)self->started_boottime_ns,
             (long long)self->ended_boottime_ns, self->usage.ru_maxrss,
             self->usage.ru_utime.tv_sec * 1000000LL + self->usage.ru_utime.tv_usec,
             self->usage.ru_stime.tv_sec * 1000000LL + self->usage.ru_stime.tv_usec, self->log_truncated,
             (long long)(oom < 0 || self->oom_kills_before < 0 ? -1 : oom - self->oom_kills_before),
             (long long)self->cgroup_oom_kills);
    return record_write(folder, "exit", text, false);
}
