"""The runner keeps its contract (PROTOCOL.md), shown on real processes."""

import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import time

import pytest

PYTHON = os.path.realpath(sys.executable)

# Writes its pid to a file once it is ready, so that a test neither races nor sleeps.
READY = """
import os, signal, sys, time
def ready(name):
    with open(name + ".new", "w") as file: file.write(f"{os.getpid()}\\n")
    os.rename(name + ".new", name)
"""
DAEMON = (
    READY
    + """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        for fd in range(3): os.close(fd)
        ready("daemon")
        time.sleep(1000)
    os._exit(0)
os.wait()
while not os.path.exists("daemon"): time.sleep(0.001)
"""
)
DEAF = READY + 'signal.signal(signal.SIGTERM, signal.SIG_IGN); ready("main"); time.sleep(1000)'
FOREVER = READY + 'ready("main"); time.sleep(1000)'


def alive(pid):
    """Whether the process runs: a zombie does not, nor one that is being reaped at this moment."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(pid):
    end = time.monotonic() + 120
    while alive(pid) and time.monotonic() < end:
        os.sched_yield()
    return not alive(pid)


def init_of(attempt):
    runner = attempt.runner_pid()
    return int(pathlib.Path(f"/proc/{runner}/task/{runner}/children").read_text().split()[0])


class TestOutcome:
    @pytest.mark.parametrize("code", [0, 1, 42, 255])
    def test_exit_code(self, attempt, code):
        """The exit code of the main process is recorded as it is."""
        outcome = attempt.write("/bin/sh", "-c", f"exit {code}").run()
        assert (outcome["reason"], outcome["code"]) == ("exited", str(code))

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGHUP])
    def test_signal(self, attempt, number):
        """A death by signal is recorded as the signal, not as an exit code."""
        outcome = attempt.write("/bin/sh", "-c", f"kill -{int(number)} $$").run()
        assert (outcome["reason"], outcome["signal"]) == ("signaled", str(int(number)))
        assert "code" not in outcome

    @pytest.mark.parametrize(
        ("command", "code", "errno"),
        [
            ("no-such-command", "127", "2"),
            ("/no/such/file", "127", "2"),
            ("/etc/passwd", "126", "13"),
            ("/etc", "126", "13"),
        ],
    )
    def test_command_cannot_be_run(self, attempt, command, code, errno):
        """A command that cannot be executed is an outcome of its own, known when the runner returns."""
        assert attempt.write(command).start() == 13
        outcome = attempt.outcome()
        assert (outcome["reason"], outcome["code"], outcome["errno"]) == ("exec-failed", code, errno)
        assert outcome["detail"] == command
        assert command in attempt.stderr

    def test_text_without_interpreter_is_not_fed_to_a_shell(self, attempt):
        """A file that is no program fails to start rather than being guessed to be a shell script."""
        script = attempt.work / "script"
        script.write_text("touch ran\n")
        script.chmod(0o755)
        assert attempt.write(script).start() == 13
        assert attempt.outcome()["errno"] == "8"
        assert not (attempt.work / "ran").exists()

    def test_working_folder_missing(self, attempt):
        """A working folder that cannot be entered is an outcome of its own."""
        assert attempt.write("/bin/true", cwd="/no/such").start() == 15
        outcome = attempt.outcome()
        assert (outcome["reason"], outcome["step"], outcome["detail"]) == ("setup-failed", "cwd", "/no/such")

    def test_figures(self, attempt):
        """Times, memory and processor time of the job and its children stand in the record."""
        before = time.time_ns()
        program = "b = bytearray(64 << 20)\nfor _ in range(2000000): pass"
        attempt.write("/bin/sh", "-c", '"$0" -I -S -c "$1"; exit 0', PYTHON, program)
        outcome = attempt.run()
        assert before <= int(outcome["started_ns"]) < int(outcome["ended_ns"]) <= time.time_ns()
        assert int(outcome["started_boottime_ns"]) < int(outcome["ended_boottime_ns"])
        assert int(outcome["max_rss_kib"]) > 64 << 10
        assert int(outcome["user_us"]) > 1000

    def test_log_holds_both_streams_in_order(self, attempt):
        """Standard output and standard error lie in one private file, in the order they were written."""
        attempt.write("/bin/sh", "-c", "echo one; echo two >&2; echo three; cat").run()
        assert attempt.log() == "one\ntwo\nthree\n"
        assert (attempt.folder / "log").stat().st_mode & 0o777 == 0o600


class TestData:
    HOSTILE = (
        b"",
        b" ",
        b"a b",
        b"a\nb",
        b"'\"`$(touch pwned)`",
        b"\\",
        b"--",
        b"=",
        b"\xff\xfe",
        b"*",
        b"x" * 100_000,
    )

    def test_arguments_arrive_byte_for_byte(self, attempt):
        """No argument is split, expanded, quoted or decoded on its way."""
        attempt.python("import os, sys; [print(os.fsencode(a)) for a in sys.argv[1:]]", *self.HOSTILE).run()
        assert attempt.log().splitlines() == [repr(value) for value in self.HOSTILE]
        assert os.listdir(attempt.work) == []

    def test_environment_is_the_spec_and_nothing_else(self, attempt, monkeypatch):
        """The job's environment is what the spec says, byte for byte, and inherits nothing."""
        monkeypatch.setenv("COMITY_TOKEN", "secret")
        values = [b"V%d=%s" % (at, value) for at, value in enumerate(self.HOSTILE)]
        attempt.write("/usr/bin/env", "-0", env=values).run()
        assert (attempt.folder / "log").read_bytes().split(b"\0")[:-1] == values

    def test_no_file_descriptor_leaks(self, attempt):
        """The job holds its three standard descriptors and nothing of the caller's or the runner's."""
        read, write = os.pipe()
        os.set_inheritable(write, True)
        program = "import os; print(sorted(int(n) for n in os.listdir('/proc/self/fd')))"
        attempt.python(program)
        with subprocess.Popen([attempt.binary, attempt.folder], close_fds=False) as process:
            assert process.wait() == 0
        os.close(write)
        os.close(read)
        attempt.outcome()
        assert attempt.log() == "[0, 1, 2, 3]\n"  # 3 is the listing itself

    def test_caller_is_let_go(self, attempt):
        """Whoever waits for the end of the runner's output is not kept by the running job."""
        attempt.python(FOREVER)
        with subprocess.Popen(
            [attempt.binary, attempt.folder], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            assert process.communicate(timeout=120)[0] == b""
        assert attempt.runner_pid()
        attempt.stop(0)

    def test_runner_keeps_no_descriptor_of_the_caller(self, attempt):
        """A pipe that the caller leaked to the runner is closed while the job still runs."""
        read, write = os.pipe()
        attempt.python(FOREVER)
        with subprocess.Popen([attempt.binary, attempt.folder], pass_fds=[write]) as process:
            assert process.wait() == 0
        os.close(write)
        assert select.select([read], [], [], 120)[0]
        os.close(read)
        assert attempt.runner_pid()

    def test_signals_are_as_new(self, attempt):
        """Signals that the caller ignored or blocked are neither in the job."""
        attempt.write("/bin/grep", "-E", "Sig(Blk|Ign)", "/proc/self/status")
        command = f"trap '' PIPE HUP INT CHLD; exec {attempt.binary} {attempt.folder}"
        assert subprocess.run(["/bin/sh", "-c", command], check=False).returncode == 0
        attempt.outcome()
        assert [int(line.split()[1], 16) for line in attempt.log().splitlines()] == [0, 0]

    @pytest.mark.parametrize(
        ("spec", "why"),
        [
            (b"", "not a plain file"),
            (b"comity-spec=1\0arg=x\0cwd=/\0", "no end record"),
            (b"comity-spec=1\0arg=x\0cwd=/\0end=", "no NUL"),
            (b"comity-spec=2\0arg=x\0cwd=/\0end=\0", "version 1"),
            (b"comity-spec=1\0arg=x\0cwd=/\0memory=1\0end=\0", "unknown key memory"),
            (b"comity-spec=1\0arg=x\0cwd=/\0\x1b[2J\xff=1\0end=\0", "unknown key ?[2J?"),
            (b"comity-spec=1\0arg=x\0cwd=/\0nonsense\0end=\0", "without ="),
            (b"comity-spec=1\0cwd=/\0end=\0", "no arg"),
            (b"comity-spec=1\0arg=x\0end=\0", "no cwd"),
            (b"comity-spec=1\0arg=x\0cwd=/\0cwd=/\0end=\0", "cwd"),
            (b"comity-spec=1\0arg=x\0cwd=work\0end=\0", "cwd"),
            (b"comity-spec=1\0arg=x\0cwd=/a/../b\0end=\0", "cwd"),
            (b"comity-spec=1\0arg=x\0cwd=/\0timeout_ms=-1\0end=\0", "timeout_ms"),
            (b"comity-spec=1\0arg=x\0cwd=/\0timeout_ms=1e3\0end=\0", "timeout_ms"),
            (b"comity-spec=1\0arg=x\0cwd=/\0uid=0\0gid=0\0end=\0", "uid"),
            (b"comity-spec=1\0arg=x\0cwd=/\0uid=1\0end=\0", "together"),
            (b"comity-spec=1\0arg=x\0cwd=/\0isolate=mount\0end=\0", "isolate needs uid"),
            (b"comity-spec=1\0arg=x\0cwd=/\0uid=1\0gid=1\0mask=/root\0end=\0", "need isolate=mount"),
            (
                b"comity-spec=1\0arg=x\0cwd=/\0uid=1\0gid=1\0isolate=mount\0mask=/srv/a\0reveal=ro:/srv\0end=\0",
                "a mask lies inside a reveal",
            ),
            (b"comity-spec=1\0arg=x\0cwd=/\0end=\0arg=y\0", "after end"),
            (b"comity-spec=1\0arg=x\0cwd=/\0env=novalue\0end=\0", "env"),
        ],
    )
    def test_bad_spec_starts_nothing(self, attempt, spec, why):
        """A spec that is cut short, unknown or contradictory is refused by name, and leaves no trace."""
        (attempt.folder / "spec").write_bytes(spec)
        assert attempt.start() == 65
        assert why in attempt.stderr
        assert sorted(os.listdir(attempt.folder)) == ["spec", "work"]

    def test_limits_arrive(self, attempt):
        """Umask, nice, resource limits and processors are those of the spec, and no core is dumped."""
        program = (
            "import os, resource as r; u = os.umask(0); print(oct(u), os.nice(0), sorted(os.sched_getaffinity(0)),"
            "r.getrlimit(r.RLIMIT_NOFILE), r.getrlimit(r.RLIMIT_CORE), r.getrlimit(r.RLIMIT_FSIZE)[0])"
        )
        options = {"umask": "027", "nice": 7, "cpus": "0", "rlimit": ["nofile:99:100", "fsize:4096:unlimited"]}
        attempt.python(program, **options).run()
        assert attempt.log() == "0o27 7 [0] (99, 100) (0, 0) 4096\n"


class TestExactlyOnce:
    def test_second_start_while_running(self, attempt):
        """A second runner finds the lock and starts nothing."""
        attempt.write("/bin/sh", "-c", "echo x >> count; echo >ready; sleep 1000")
        assert attempt.start() == 0
        attempt.wrote("ready")
        assert attempt.start() == 10
        attempt.stop(0)
        attempt.outcome()
        assert (attempt.work / "count").read_text() == "x\n"

    def test_second_start_after_the_end(self, attempt):
        """A runner that comes after the end starts nothing and leaves the record alone."""
        first = attempt.write("/bin/sh", "-c", "echo x >> count").run()
        assert attempt.start() == 11
        assert attempt.outcome() == first
        assert (attempt.work / "count").read_text() == "x\n"

    def test_two_runners_race(self, make_attempt):
        """Of runners started at the same moment exactly one starts the job, each of twenty times."""
        for _ in range(20):
            attempt = make_attempt().write("/bin/sh", "-c", "echo x >> count")
            racers = [attempt.spawn() for _ in range(3)]
            codes = sorted(racer.wait() for racer in racers)
            for racer in racers:
                racer.stderr.close()
            attempt.free()
            assert codes[0] == 0
            assert set(codes[1:]) <= {10, 11}
            assert (attempt.work / "count").read_text() == "x\n"

    def test_started_names_the_runner(self, attempt):
        """The pid, start time and boot in `started` are those of the process that holds the lock."""
        attempt.python(FOREVER)
        assert attempt.start() == 0
        started = attempt.record("started")
        pid = attempt.runner_pid()
        assert int(started["pid"]) == pid
        assert started["start_ticks"] == pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
        assert started["boot_id"] == pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        attempt.stop(0)

    def test_unwritable_record_starts_nothing(self, attempt):
        """Where `started` cannot be written the job does not run, and no record says that it might have."""
        attempt.write("/bin/sh", "-c", "echo x >> count")
        limited = ["sh", "-c", 'ulimit -f 0; exec "$0" "$1"', attempt.binary, attempt.folder]
        assert subprocess.run(limited, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 70
        attempt.free()
        assert not (attempt.work / "count").exists()
        assert not (attempt.folder / "started").exists()


class TestStop:
    def test_fence_before_start(self, attempt):
        """A stop that arrives before the start prevents it for ever."""
        attempt.write("/bin/sh", "-c", "echo x >> count").stop(0)
        assert attempt.start() == 12
        assert attempt.start() == 12
        assert not (attempt.work / "count").exists()
        assert not (attempt.folder / "started").exists()

    def test_stop_races_start(self, make_attempt):
        """A stop at any moment around the start always ends the job, and no stop is lost."""
        reasons = set()
        for delay in [*range(30), *(2**power for power in range(5, 18))]:
            if delay >= 30 and 0 in reasons:
                break  # the longer waits are for a busy machine, where no start was fast enough
            attempt = make_attempt().write("/bin/sleep", "1000")
            process = attempt.spawn()
            end = time.perf_counter() + delay * 0.0001
            while time.perf_counter() < end:
                pass
            attempt.stop(0)
            code = process.wait()
            process.stderr.close()
            attempt.free()
            assert code in (0, 12)
            if code == 0 or (attempt.folder / "started").exists():
                assert attempt.record("exit")["reason"] == "stopped"
            reasons.add(code)
        assert 0 in reasons

    @pytest.mark.skipif(shutil.which("strace") is None, reason="strace holds the runner at the moment in question")
    def test_stop_file_between_claim_and_start(self, make_attempt):
        """A stop file that appears after the first look, from a caller that then dies, is seen in time."""
        # Between the two looks the job's process is made, which is held up.
        calls = "clone,clone3"
        hold = ["strace", "-f", "-o", "/dev/null", "-e", f"trace={calls}", "-e", f"inject={calls}:delay_enter=300000"]
        for _ in range(20):
            attempt = make_attempt().write("/bin/sh", "-c", "echo x >> count")
            with subprocess.Popen([*hold, attempt.binary, attempt.folder]) as process:
                attempt.until("the lock is held", attempt.runner_pid)
                (attempt.folder / "stopped").write_text("grace_ms=0\n")
                code = process.wait()
            if code == 12 and (attempt.folder / "exit").exists():
                break
            # It came before the first look, or on a busy machine after the second: once more.
        assert code == 12
        assert attempt.outcome()["reason"] == "stopped"
        assert not (attempt.work / "count").exists()

    def test_grace(self, attempt):
        """A job that ends itself on SIGTERM does so within its grace and its code is kept."""
        attempt.python(READY + 'signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); ready("main"); time.sleep(1000)')
        assert attempt.start() == 0
        attempt.wrote("main")
        attempt.stop(60_000)
        outcome = attempt.outcome()
        assert (outcome["reason"], outcome["code"]) == ("stopped", "7")

    def test_grace_belongs_to_the_whole_tree(self, attempt):
        """A worker may use the grace although the shell that started it is dead at once."""
        worker = READY + (
            'signal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.1), ready("saved"), sys.exit()));'
            'ready("main"); time.sleep(1000)'
        )
        attempt.write("/bin/sh", "-c", '"$0" -I -S -c "$1"; exit 0', PYTHON, worker)
        assert attempt.start() == 0
        attempt.wrote("main")
        attempt.stop(60_000)
        outcome = attempt.outcome()
        assert (outcome["reason"], outcome["signal"]) == ("stopped", "15")
        assert (attempt.work / "saved").exists()

    def test_deaf_job_is_killed_after_the_grace(self, attempt):
        """A job that ignores SIGTERM is killed when its grace is over, not before."""
        attempt.python(DEAF)
        assert attempt.start() == 0
        pid = int(attempt.wrote("main"))
        begin = time.monotonic()
        attempt.stop(300)
        outcome = attempt.outcome()
        assert time.monotonic() - begin >= 0.3
        assert (outcome["reason"], outcome["signal"]) == ("stopped", "9")
        assert not alive(pid)

    def test_second_stop_shortens_the_grace(self, attempt):
        """A stop with less patience overtakes the one before."""
        attempt.python(DEAF)
        assert attempt.start() == 0
        attempt.wrote("main")
        attempt.stop(3_600_000)
        attempt.stop(0)
        assert attempt.outcome()["signal"] == "9"

    def test_halted_job_is_stopped(self, attempt):
        """A job that has halted itself still hears its SIGTERM."""
        attempt.python(READY + 'ready("main"); os.kill(os.getpid(), signal.SIGSTOP)')
        assert attempt.start() == 0
        attempt.wrote("main")
        attempt.stop(60_000)
        assert attempt.outcome()["signal"] == "15"

    def test_timeout(self, attempt):
        """A job that runs longer than its limit is ended, with its grace, and the reason says so."""
        attempt.python(DEAF, timeout_ms=400, grace_ms=100)
        outcome = attempt.run()
        assert (outcome["reason"], outcome["signal"]) == ("timeout", "9")
        took = int(outcome["ended_boottime_ns"]) - int(outcome["started_boottime_ns"])
        assert 500_000_000 <= took < 5_000_000_000

    def test_signal_without_stop_file(self, attempt):
        """A runner told to end by the system ends its job too, and does not call it the caller's stop."""
        attempt.python(FOREVER)
        assert attempt.start() == 0
        attempt.wrote("main")
        os.kill(attempt.runner_pid(), signal.SIGTERM)
        outcome = attempt.outcome()
        assert (outcome["reason"], outcome["signal"]) == ("terminated", "15")

    def test_stop_after_the_end_changes_nothing(self, attempt):
        """A stop that comes after the end leaves the outcome as it was."""
        first = attempt.write("/bin/true").run()
        attempt.stop(0)
        assert attempt.outcome() == first


class TestDescendants:
    def test_daemon_dies_with_the_job(self, attempt):
        """A daemon that forked twice, left the session and ignores SIGTERM is dead before the record is there."""
        outcome = attempt.python(DAEMON).run()
        assert outcome["reason"] == "exited"
        assert not alive(int((attempt.work / "daemon").read_text()))

    def test_daemon_dies_on_stop(self, attempt):
        """The same daemon is dead when a stopped job's record is there."""
        attempt.python(DAEMON + "time.sleep(1000)")
        assert attempt.start() == 0
        pid = int(attempt.wrote("daemon"))
        attempt.stop(100)
        assert attempt.outcome()["reason"] == "stopped"
        assert not alive(pid)

    def test_chain_of_forks_is_caught(self, attempt):
        """Processes that go on forking and dying cannot outrun the sweep."""
        program = READY + (
            "for at in range(3):\n"
            "    if os.fork() == 0:\n"
            "        os.setsid()\n"
            "        while True:\n"
            "            if os.fork() > 0: os._exit(0)\n"
            '            if not os.path.exists("chain"): ready("chain")\n'
            'while not os.path.exists("chain"): time.sleep(0.001)\n'
        )
        mark = f"COMITY_TEST={attempt.folder}"
        assert attempt.python(program, env=[mark]).run()["reason"] == "exited"
        left = []
        for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
            try:
                left += [path] if mark.encode() in path.read_bytes() else []
            except OSError:
                pass
        assert left == []

    def test_killed_runner_takes_the_job_along(self, attempt):
        """When the runner is killed the whole tree dies, the lock is free, and no outcome is invented."""
        attempt.python(DAEMON + 'ready("main"); time.sleep(1000)')
        assert attempt.start() == 0
        main, daemon = int(attempt.wrote("main")), int(attempt.wrote("daemon"))
        os.kill(attempt.runner_pid(), signal.SIGKILL)
        assert gone(main)
        assert gone(daemon)
        attempt.free()
        assert not (attempt.folder / "exit").exists()
        assert attempt.start() == 11

    def test_killed_init_takes_the_job_along(self, attempt):
        """When the process between runner and job is killed all die, and the outcome says it is unknown."""
        attempt.python(DAEMON + 'ready("main"); time.sleep(1000)')
        assert attempt.start() == 0
        main, daemon = int(attempt.wrote("main")), int(attempt.wrote("daemon"))
        os.kill(init_of(attempt), signal.SIGKILL)
        outcome = attempt.outcome()
        assert outcome["reason"] == "lost"
        assert "code" not in outcome
        assert not alive(main)
        assert not alive(daemon)

    def test_halted_init_is_woken(self, attempt):
        """A job that halts the process above it does not escape its limits."""
        attempt.python(DEAF, timeout_ms=300, grace_ms=0)
        assert attempt.start() == 0
        os.kill(init_of(attempt), signal.SIGSTOP)
        outcome = attempt.outcome()
        # With its signal: the init reported it, and was not merely killed in the end.
        assert (outcome["reason"], outcome["signal"]) == ("timeout", "9")

    def test_kernel_kills_the_main_process(self, attempt):
        """The main process dies with its init even while no runner can act."""
        attempt.python(DEAF)
        assert attempt.start() == 0
        main, runner, init = int(attempt.wrote("main")), attempt.runner_pid(), init_of(attempt)
        os.kill(runner, signal.SIGSTOP)
        os.kill(init, signal.SIGKILL)
        assert gone(main)
        os.kill(runner, signal.SIGCONT)
        assert attempt.outcome()["reason"] == "lost"

    def test_runner_outlives_its_caller(self, attempt):
        """A caller killed with its whole group and session leaves the runner at work."""
        attempt.write("/bin/sh", "-c", "echo >ready; while [ ! -e go ]; do sleep 0.01; done; exit 5")
        caller = subprocess.Popen(
            ["/bin/sh", "-c", f"{attempt.binary} {attempt.folder}; kill -9 0"], start_new_session=True
        )
        assert caller.wait() == -9
        attempt.wrote("ready")
        (attempt.work / "go").touch()
        assert attempt.outcome()["code"] == "5"

    def test_set_user_id_has_no_effect(self, attempt):
        """No job can gain privileges, for then it could not be killed."""
        attempt.write("/bin/grep", "NoNewPrivs", "/proc/self/status").run()
        assert attempt.log().split() == ["NoNewPrivs:", "1"]


class TestLogCap:
    def test_log_is_cut_and_the_job_is_not(self, attempt):
        """A log beyond its cap is cut with a mark, while the job writes on and ends well."""
        attempt.python("import os\nfor _ in range(100): os.write(1, b'x' * 50000)", log_bytes_max=200_000)
        outcome = attempt.run()
        assert (outcome["reason"], outcome["code"], outcome["log_truncated"]) == ("exited", "0", "1")
        body, mark = attempt.log().split("\n", 1)
        assert body == "x" * 200_000
        assert mark == "[comity: log cut at 200000 bytes, the rest is not kept]\n"

    def test_last_words_are_kept(self, attempt):
        """What the job wrote just before it was killed is in the copied log."""
        program = "import os, signal; os.write(1, b'y' * 60000); os.kill(os.getpid(), signal.SIGKILL)"
        outcome = attempt.python(program, log_bytes_max=1 << 20).run()
        assert (outcome["signal"], outcome["log_truncated"]) == ("9", "0")
        assert attempt.log() == "y" * 60000
