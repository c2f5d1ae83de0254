"""What an isolated job can neither see nor do, tried from inside one. Needs root, as isolation does."""

import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys

import pytest

PYTHON = os.path.realpath(sys.executable)
PREFIX = os.path.realpath(sys.base_prefix)
NOBODY = 65534
READY = """
import os, signal, sys, time
def ready(name):
    with open(name + ".new", "w") as file: file.write(f"{os.getpid()}\\n")
    os.rename(name + ".new", name)
"""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="isolation is for a runner started by root")


@pytest.fixture(autouse=True)
def capable(runner_binary):
    """Skips where the machine refuses what isolation needs, by asking as the adapter asks."""
    answer = subprocess.run([runner_binary, "--probe"], capture_output=True, text=True, check=True).stdout
    if refused := [line for line in answer.splitlines() if not line.endswith(("=ok", "version=1"))]:
        pytest.skip(f"isolation does not work here: {refused}")


def isolated(attempt, program, **changes):
    """Writes a spec with everything on: the state folder and /root masked, work and interpreter revealed."""
    os.chown(attempt.work, NOBODY, NOBODY)
    options = {
        "isolate": ["mount", "pid", "ipc", "dev"],
        "uid": NOBODY,
        "gid": NOBODY,
        "mask": ["/root", attempt.folder.parent],
        "reveal": [f"ro:{PREFIX}", f"rw:{attempt.work}"],
    }
    return attempt.python(READY + program, **(options | changes))


class TestSeen:
    def test_state_folder_is_invisible(self, attempt, make_attempt):
        """Of the state folder a job sees its own working folder alone: no record, no spec, no neighbour."""
        make_attempt()
        program = f"print(os.listdir({str(attempt.folder.parent)!r}), os.listdir({str(attempt.folder)!r}))"
        isolated(attempt, program).run()
        assert attempt.log() == "['a0'] ['work']\n"

    def test_root_is_hidden_but_the_interpreter_works(self, attempt):
        """Nothing of /root is seen but the interpreter below it, which imports its library."""
        isolated(attempt, "import json, pathlib; print(json.dumps(os.listdir('/root')))").run()
        expected = [pathlib.Path(PREFIX).parts[2]] if PREFIX.startswith("/root/") else []
        assert attempt.log() == f"{expected}\n".replace("'", '"')

    def test_other_processes_are_invisible(self, attempt):
        """A job sees itself and its init, and no other process can be signalled."""
        program = (
            "print(sorted(int(n) for n in os.listdir('/proc') if n.isdigit()), os.getpid(), os.getppid())\n"
            "print(open('/proc/1/comm').read().strip())\n"
            f"try: os.kill({os.getpid()}, 0)\nexcept ProcessLookupError: print('nobody')\n"
        )
        isolated(attempt, program).run()
        assert attempt.log() == "[1, 2] 2 1\ncomity-init\nnobody\n"

    def test_devices_are_few_and_work(self, attempt):
        """Only harmless devices are there, they work, and so do shared memory and terminals."""
        program = (
            "print(sorted(os.listdir('/dev')), flush=True)\n"
            "open('/dev/null', 'w').write('x'); assert len(open('/dev/urandom', 'rb').read(8)) == 8\n"
            "with open('/dev/stderr', 'a') as file: file.write('said\\n')\n"
            "open('/dev/shm/x', 'w').close(); print(os.ttyname(os.openpty()[1]), os.listdir('/dev/shm'))\n"
        )
        isolated(attempt, program).run()
        names = ["fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout"]
        names += ["tty", "urandom", "zero"]
        assert attempt.log().splitlines() == [str(names), "said", "/dev/pts/0 ['x']"]

    @pytest.mark.skipif(shutil.which("strace") is None, reason="strace refuses the nodes as a container would")
    def test_devices_where_nodes_may_not_be_made(self, attempt):
        """In a container that may not make device nodes the host's are mounted, and work."""
        program = "print(sorted(os.listdir('/dev'))); open('/dev/null', 'w').write('x'); open('/dev/zero').read(1)"
        isolated(attempt, program)
        # Of the init's calls each second one makes the plain file that the host's device is mounted on.
        refuse = ["strace", "-f", "-o", "/dev/null", "-e", "trace=mknodat", "-e"]
        refuse.append("inject=mknodat:error=EPERM:when=1+2")
        with subprocess.Popen([*refuse, attempt.binary, attempt.folder]) as process:
            assert process.wait() == 0
        attempt.outcome()
        assert "'null', 'ptmx', 'pts', 'random', 'shm'" in attempt.log()

    def test_a_device_can_be_granted(self, attempt):
        """A listed device, also one in a folder, is there at its own place."""
        isolated(attempt, "print(os.path.exists('/dev/net/tun'))", device="/dev/net/tun").run()
        assert attempt.log() == "True\n"

    def test_private_tmp(self, attempt):
        """A private /tmp is the given folder, and the host's is not seen."""
        own = attempt.folder / "tmp"
        own.mkdir()
        own.chmod(0o1777)
        program = "print(os.listdir('/tmp') == os.listdir('/var/tmp')); open('/tmp/x', 'w').close()"
        isolated(attempt, program, tmp=own).run()
        assert attempt.log() == "True\n"
        # The way to the working folder, which the test keeps below /var/tmp, was there meanwhile, and is no more.
        assert os.listdir(own) == ["x"]

    def test_only_mount_points_are_removed(self, attempt):
        """What a job puts in the way of its mount points' removal stays: its own folders, and what links lead to."""
        own, outside = attempt.folder / "tmp", attempt.work / "kept"
        own.mkdir()
        own.chmod(0o777)
        name = attempt.folder.parent.name
        program = (
            f"os.makedirs('kept/{attempt.folder.name}/work')\n"
            f"os.rename('/tmp/{name}', '/tmp/away'); os.symlink({str(outside)!r}, '/tmp/{name}')\n"
        )
        isolated(attempt, program, tmp=own).run()
        assert sorted(os.listdir(own)) == sorted(["away", name]), attempt.log()
        assert (outside / attempt.folder.name / "work").is_dir()

    def test_host_sees_no_mounts(self, attempt):
        """What is mounted for a job is mounted for nobody else."""
        before = pathlib.Path("/proc/self/mounts").read_text()
        isolated(attempt, "ready('main'); time.sleep(1000)")
        assert attempt.start() == 0
        attempt.wrote("main")
        assert pathlib.Path("/proc/self/mounts").read_text() == before
        attempt.stop(0)


class TestPowers:
    def test_no_capabilities_and_no_groups(self, attempt):
        """All five capability sets are empty, ids are the user's, groups are none, and exec grants nothing."""
        program = (
            "lines = dict(line.split(':', 1) for line in open('/proc/self/status'))\n"
            "print([int(lines[n], 16) for n in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb')])\n"
            "print(os.getresuid(), os.getresgid(), os.getgroups(), lines['NoNewPrivs'].strip())\n"
        )
        isolated(attempt, program)
        with subprocess.Popen([attempt.binary, attempt.folder], extra_groups=[0, 4, 24]) as process:
            assert process.wait() == 0
        attempt.outcome()
        assert attempt.log() == f"[0, 0, 0, 0, 0]\n{(NOBODY,) * 3} {(NOBODY,) * 3} [] 1\n"

    def test_set_user_id_program_gains_nothing(self, attempt):
        """A set-user-id root program runs as the job's user."""
        program = attempt.folder / "id"
        program.write_bytes(pathlib.Path("/usr/bin/id").read_bytes())
        program.chmod(0o4755)
        reveal = [f"ro:{PREFIX}", f"rw:{attempt.work}", f"ro:{program}"]
        isolated(attempt, f"os.execv({str(program)!r}, ['id', '-u'])", reveal=reveal).run()
        assert attempt.log() == f"{NOBODY}\n"

    def test_writes_only_in_the_working_folder(self, attempt):
        """The working folder takes files; the system, the masks and read-only reveals take none."""
        places = ["/", "/etc", "/usr", "/root", str(attempt.folder), PREFIX, "/dev", "/proc", "."]
        program = (
            f"for place in {places!r}:\n"
            "    try: open(place + '/x', 'w').close(); print(place)\n"
            "    except OSError: pass\n"
        )
        isolated(attempt, program).run()
        assert attempt.log() == ".\n"

    def test_read_only_reveal_is_read_only_for_its_owner(self, attempt):
        """A read-only reveal refuses also whom the file system would let write."""
        data = attempt.folder / "data"
        data.mkdir()
        os.chown(data, NOBODY, NOBODY)
        reveal = [f"ro:{PREFIX}", f"rw:{attempt.work}", f"ro:{data}"]
        program = f"try: open({str(data)!r} + '/x', 'w')\nexcept OSError as error: print(error.errno)"
        isolated(attempt, program, reveal=reveal).run()
        assert attempt.log() == "30\n"

    def test_masks_cannot_be_lifted_from_a_user_namespace(self, attempt):
        """Root of a user namespace of its own cannot unmount or look below what hides the host."""
        program = (
            "import ctypes; libc = ctypes.CDLL(None, use_errno=True)\n"
            "print(libc.unshare(0x10000000 | 0x00020000), end=' ')\n"
            "print([libc.umount2(p, 2) for p in (b'/root', b'/dev', b'/proc')], end=' ')\n"
            "print(libc.mount(b'/', b'/tmp', None, 4096, None))\n"
        )
        isolated(attempt, program).run()
        # The namespace itself may be refused by the machine, and then so is all else.
        assert attempt.log() in ("0 [-1, -1, -1] -1\n", "-1 [-1, -1, -1] -1\n")

    def test_masks_stand_alone_too(self, attempt):
        """Mounts without a PID namespace hide the same paths."""
        isolated(attempt, f"print(os.listdir({str(attempt.folder)!r}))", isolate=["mount"]).run()
        assert attempt.log() == "['work']\n"

    def test_shared_memory_is_apart(self, attempt):
        """System V shared memory of the host is not reachable."""
        made = subprocess.run(["ipcmk", "-M", "64"], capture_output=True, text=True, check=True).stdout.split()[-1]
        try:
            isolated(attempt, "print(len(open('/proc/sysvipc/shm').readlines()) - 1)").run()
        finally:
            subprocess.run(["ipcrm", "-m", made], check=True)
        assert attempt.log() == "0\n"


class TestRefusal:
    @pytest.mark.parametrize(
        ("changes", "step"),
        [
            ({"mask": "/no/such/folder"}, "mask"),
            ({"reveal": "ro:/no/such/folder"}, "reveal"),
            ({"device": "/dev/no-such-device"}, "dev"),
            ({"tmp": "/no/such/folder"}, "tmp"),
        ],
    )
    def test_a_step_that_fails_prevents_the_start(self, attempt, changes, step):
        """A job is never started less isolated than asked: it is not started, and the step is named."""
        assert isolated(attempt, "ready('main')", **changes).start() == 14
        outcome = attempt.outcome()
        assert (outcome["reason"], outcome["step"], outcome["errno"]) == ("isolation-failed", step, "2")
        assert not (attempt.work / "main").exists()

    def test_planted_link_is_not_followed(self, attempt):
        """A symbolic link in a path to reveal stops the start, for it may lead below a mask."""
        link = attempt.work / "link"
        link.symlink_to("/root")
        assert isolated(attempt, "ready('main')", reveal=[f"rw:{attempt.work}", f"ro:{link}"]).start() == 14
        assert (attempt.outcome()["step"], attempt.outcome()["errno"]) == ("reveal", "40")

    def test_user_that_is_not_root_cannot_isolate(self, attempt):
        """Without root the outcome names the step that failed, and nothing runs."""
        isolated(attempt, "ready('main')")
        for path in (attempt.folder, attempt.folder / "spec"):
            os.chown(path, NOBODY, NOBODY)
        with subprocess.Popen([attempt.binary, attempt.folder], user=NOBODY, stderr=subprocess.DEVNULL) as process:
            assert process.wait() in (14, 15)
        assert attempt.outcome()["errno"] == "1"
        assert not (attempt.work / "main").exists()


class TestEnd:
    def test_exit_code_and_orphans(self, attempt):
        """Inside a namespace too the code is that of the main process, and daemons die with it."""
        program = (
            "if os.fork() == 0:\n    os.setsid()\n"
            "    if os.fork() == 0: ready('daemon'); time.sleep(1000)\n    os._exit(0)\n"
            "while not os.path.exists('daemon'): time.sleep(0.001)\n"
            "sys.exit(9)\n"
        )
        outcome = isolated(attempt, program).run()
        assert (outcome["reason"], outcome["code"]) == ("exited", "9")

    def test_default_signals_work(self, attempt):
        """The main process is no init: SIGTERM without a handler ends it."""
        isolated(attempt, "ready('main'); time.sleep(1000)")
        assert attempt.start() == 0
        attempt.wrote("main")
        attempt.stop(60_000)
        assert (attempt.outcome()["reason"], attempt.outcome()["signal"]) == ("stopped", "15")

    def test_deaf_job_is_killed(self, attempt):
        """A job that ignores SIGTERM dies after its grace."""
        isolated(attempt, "signal.signal(signal.SIGTERM, signal.SIG_IGN); ready('main'); time.sleep(1000)")
        assert attempt.start() == 0
        attempt.wrote("main")
        attempt.stop(100)
        assert (attempt.outcome()["reason"], attempt.outcome()["signal"]) == ("stopped", "9")

    def test_killed_runner_takes_the_namespace_along(self, attempt):
        """When the runner is killed the kernel ends the whole namespace."""
        isolated(attempt, "ready('main'); time.sleep(1000)")
        assert attempt.start() == 0
        attempt.wrote("main")
        runner = attempt.runner_pid()
        init = pathlib.Path(f"/proc/{runner}/task/{runner}/children").read_text().split()[0]
        main = int(pathlib.Path(f"/proc/{init}/task/{init}/children").read_text().split()[0])
        pidfd = os.pidfd_open(main)
        os.kill(runner, signal.SIGKILL)
        assert select.select([pidfd], [], [], 120)[0]
        os.close(pidfd)
        attempt.free()
        assert not (attempt.folder / "exit").exists()

    def test_job_cannot_kill_its_runner(self, attempt):
        """A job of another user may signal neither its init nor anything else."""
        program = "try: os.kill(1, 9)\nexcept PermissionError: print('refused')"
        isolated(attempt, program).run()
        assert attempt.log() == "refused\n"
