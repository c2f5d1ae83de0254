"""An attempt made ready to start: its folders filled, its devices and its port noted, its name given in one step."""

from __future__ import annotations

import hashlib
import os
import shutil
import socket
import stat
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from backends.local import (
    attempts,
    capacity,
    discovery,
    errors,
    holdings,
    isolation,
    limits,
    outputs,
    render,
    seats,
    spares,
    workspaces,
)
from backends.local import settings as schema
from orchestrator.ports import backends

_LEFTOVER_AGE_S = 3600


@dataclass(frozen=True, slots=True)
class Base:
    """Where the attempts of one backend are, and what all of them get.

    ``work`` is "" where each attempt holds its own working folder, and only then there are spares.
    """

    store: attempts.Attempts
    holdings: holdings.Holdings
    ground: isolation.Ground
    limits: limits.Limits
    work: str
    interpreter: str
    spares: spares.Spares | None
    seats: seats.Seats

    def refill(self, attempt: attempts.Attempt) -> None:
        """Make anew what an attempt has taken of what is made in advance. It runs: nobody waits for this."""
        if self.spares is not None:
            self.spares.refill()
        self.seats.refill(attempt)

    def close(self) -> None:
        """Give back what was made in advance."""
        self.seats.close()
        if self.spares is not None:
            self.spares.close()

    def remove(self, attempt: attempts.Attempt) -> None:
        """Remove an attempt and its workspace: out of sight first."""
        if (gone := self.store.hide(attempt.key)) is not None:
            self.clear(attempt, gone)

    def clear(self, attempt: attempts.Attempt, gone: str) -> None:
        """Remove what was taken out of sight."""
        self.holdings.dropped(attempt.key)
        limits.remove(attempt.cgroups)
        if self.work:
            shutil.rmtree(f"{self.work}/{attempt.key}", ignore_errors=True)
        shutil.rmtree(gone, ignore_errors=True)


def open_base(settings: schema.LocalSettings, context: backends.AdapterContext) -> Base:
    """Make the folders and choose the isolation. Raises OSError, BackendError."""
    state = os.path.realpath(context.state_folder)
    root = f"{state}/attempts"
    os.makedirs(root, mode=0o700, exist_ok=True)
    os.chmod(root, 0o700)
    store = attempts.Attempts(root)
    oldest = context.now().timestamp() - _LEFTOVER_AGE_S
    for path in store.leftovers(oldest):
        shutil.rmtree(path, ignore_errors=True)
    work = os.path.realpath(settings.work_folder) if settings.work_folder else ""
    hidden = [state, *context.hidden_folders]
    if work:
        _own_folder(work)
        hidden.append(work)
    ground = isolation.ground(settings, hidden)
    if ground.level is isolation.Level.USER and not work:
        digest = hashlib.sha256(state.encode()).hexdigest()[:16]
        work = f"/var/tmp/comity-jobs-{digest}"  # noqa: S108 -- checked to be ours alone, and never replaced
        _own_folder(work)
    declared = sum(pool.cpu_milli or 0 for pool in context.pools) if settings.overcommit else 0
    held = limits.limits(settings, state, declared_milli=declared, found_milli=discovery.cpu_milli())
    interpreter = _interpreter()
    own = None if work else spares.Spares(store, owner=ground.owner, link=not interpreter)
    seats.clean(held.prefix, (held.parent, held.cpu_parent))
    return Base(store, holdings.Holdings(store), ground, held, work, interpreter, own, seats.Seats(held.prefix))


def prepare(
    base: Base,
    settings: schema.LocalSettings,
    placement: backends.SealedPlacement,
    machine: discovery.Machine,
    given: Sequence[discovery.Device],
) -> tuple[attempts.Attempt, bool]:
    """Return the attempt of a placement, ready to start; False where another one of its key came first.

    Raises PermanentError for what this adapter cannot run, OSError for what the machine refuses.
    """
    _check(placement)
    key, spec = str(placement.key), placement.spec
    workspace = f"{base.work}/{key}" if base.work else f"{base.store.folder(key)}/w"
    per_node = spec.resources.accelerators.count if spec.resources.accelerators else 0
    attempt = attempts.Attempt(
        key=key,
        job=str(placement.job),
        pool=placement.pool,
        nodes=spec.nodes,
        cpu_milli=spec.resources.cpu_milli * spec.nodes,
        memory_bytes=spec.resources.memory_bytes * spec.nodes,
        accelerators=per_node * spec.nodes,
        devices=tuple(device.id for device in given),
        outputs=tuple(output.path for output in spec.outputs),
        workspace=workspace,
        port=_free_port(),
        uid=base.ground.uid,
        cgroups=base.limits.paths(key, spec.nodes, spec.resources.memory_bytes, spec.resources.cpu_milli),
        command=render.shown(spec.command),
    )
    own_nodes = base.ground.level is isolation.Level.NAMESPACES
    by_rank = [given[rank * per_node : (rank + 1) * per_node] for rank in range(spec.nodes)]
    grant = render.Grant(
        ground=base.ground,
        interpreter=base.interpreter,
        defaults=settings.env,
        log_bytes_max=settings.log_bytes_max,
        visible=[capacity.visible(devices, machine, own_nodes) for devices in by_rank],
        nodes=[_nodes(devices, settings) for devices in by_rank],
        own_cpus=base.limits.own_cpus(spec.resources.cpu_milli),
    )
    return attempt, _fill(base, placement, attempt, grant)


def _fill(base: Base, placement: backends.SealedPlacement, attempt: attempts.Attempt, grant: render.Grant) -> bool:
    """Write the folder under another name, then rename it: whoever finds it finds it complete."""
    owner, link = base.ground.owner, not base.interpreter
    temporary = base.spares.take() if base.spares is not None and attempt.nodes == 1 else None
    if temporary is None:
        temporary = spares.make(base.store, attempt.key, attempt.nodes, work=not base.work, owner=owner, link=link)
    outside = ""
    try:
        variables = [render.environment(placement, attempt, grant, rank) for rank in range(attempt.nodes)]
        for rank, values in enumerate(variables):
            attempts.fill(f"{temporary}/{rank}/spec", render.spec(placement, attempt, grant, rank, values))
        attempts.fill(f"{temporary}/attempt.json", attempts.encode(attempt, path=variables[0].get("PATH", "")))
        place = f"{temporary}/w"
        if base.work:
            place = outside = f"{base.work}/{attempt.key}"
            shutil.rmtree(outside, ignore_errors=True)  # of a submit that died before it was named
            spares.workspace(place, attempt.nodes, owner=owner, link=link)
        workspaces.fill(place, attempt.nodes, files=placement.spec.files, archive=_archive(placement), owner=owner)
        if base.store.name(temporary, attempt.key):
            return True
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        if outside:
            shutil.rmtree(outside, ignore_errors=True)
        raise
    shutil.rmtree(temporary, ignore_errors=True)
    return False


def _archive(placement: backends.SealedPlacement) -> Callable[[], bytes] | None:
    read = placement.workdir
    if read is None:
        return None

    def content() -> bytes:
        try:
            return read()
        except LookupError as error:
            raise errors.refused(
                "workdir-missing", f"the archive of the working folder is not there: {error}"
            ) from error

    return content


def _check(placement: backends.SealedPlacement) -> None:
    """Refuse what this adapter does not do; the core asks for capabilities first, so this is the second lock."""
    spec = placement.spec
    if spec.image is not None:
        raise errors.refused("no-containers", "this backend runs commands, not images (fit.capability:containers)")
    if not spec.command or not spec.command[0]:
        raise errors.refused("invalid", "the job names no command")
    if any(use.mount_path is not None for use in (spec.data.reads if spec.data else ())):
        raise errors.refused(
            "no-mounts", "this backend mounts no data; leave out mountPath (fit.capability:dataMounts)"
        )
    outputs.check_declared([output.path for output in spec.outputs])


def _nodes(devices: Sequence[discovery.Device], settings: schema.LocalSettings) -> tuple[str, ...]:
    found = [path for device in devices for path in device.nodes]
    found += [path for path in settings.device_nodes if os.path.exists(path)]
    return tuple(dict.fromkeys(found))


def _free_port() -> int:
    """Return a port of the loopback that is free now; between now and its use somebody may take it."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _own_folder(path: str) -> None:
    """Make a folder for workspaces that others may pass and only we may change. Raises PermanentError for a trap."""
    try:
        os.mkdir(path, 0o711)
    except FileExistsError:
        pass
    info = os.lstat(path)
    if not stat.S_ISDIR(info.st_mode) or info.st_uid != os.geteuid():
        raise errors.refused("work-folder", f"{path} is not a folder of the server's own user")
    os.chmod(path, 0o711)  # noqa: S103 -- jobs pass through it to their own; only we list or change it


def _interpreter() -> str:
    """Return the folder in which jobs find ``python``; "" where ours has another name, and each gets a link to it."""
    own = os.path.dirname(sys.executable)
    return own if os.access(f"{own}/python", os.X_OK) else ""
