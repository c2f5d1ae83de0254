"""A control plane, put together and run: store, rules, adapters, loop, use cases, HTTP. The only module that names
them all; what they do is theirs.
"""

from __future__ import annotations

import gc
import math
import os
import signal
import socket
import sys
from dataclasses import dataclass

import uvicorn

from orchestrator import version
from orchestrator.api import app, guards, services
from orchestrator.bootstrap import (
    cases,
    catalogues,
    declared,
    listings,
    loops,
    packs,
    protocols,
    sealing,
    signing,
    standings,
    states,
    tables,
    trusts,
    watches,
)
from orchestrator.control import arrivals, lanes
from orchestrator.domain import journal
from orchestrator.inventory import inboxes, sightings, worlds
from orchestrator.placement import requirements
from orchestrator.plugins import executors, fleet, registry, secrets
from orchestrator.policy import rulebook
from orchestrator.ports import stores
from orchestrator.service import access, checkpoints, contexts, snapshots, tokens
from orchestrator.settings import server as server_settings
from orchestrator.sources import distances, rates, yamls
from orchestrator.store import opening
from orchestrator.telemetry import clocks, id_factories, logs, metrics, wakes
from orchestrator.verification import draws
from orchestrator.wire.documents import registry as documents_registry

FAILED = 1
SHUTDOWN_S = 5
_BACKLOG = 2048
_CONNECTIONS_MAX = 4096


@dataclass(slots=True)
class Server:
    """Everything that runs. ``application`` is ASGI."""

    settings: server_settings.ServerSettings
    store: stores.Store
    context: contexts.Context
    given: services.Services
    application: guards.Guard
    heart: loops.Heart
    seals: sealing.Sealer
    lists: listings.ListKeeper
    trust: trusts.TrustKeeper
    packs: packs.PackKeeper
    tables: tables.TableKeeper
    watch: watches.Watch
    adapters: fleet.PluginFleet
    calls: executors.BulkheadExecutor

    def close(self) -> None:
        """Stop the loop, let go of adapters and of the store. Jobs go on."""
        self.heart.stop()
        self.lists.watch.stop()
        self.trust.watch.stop()
        self.packs.stop()
        self.watch.stop()
        self.seals.stop()
        self.adapters.close()
        self.calls.close()
        self.tables.stop()
        self.store.close()


def build(settings: server_settings.ServerSettings) -> Server:
    """Put a control plane together; nothing of it runs yet. Raises StateError, StoreError."""
    clock = clocks.SystemClock()
    key = tables.key_of(settings.state_dir)
    where = settings.database or str(settings.state_dir / states.DATABASE)
    store = opening.open_store(where, clock, alone=True, key=key.raw)
    try:
        return _build(settings, store, clock, key)
    except BaseException:
        store.close()
        raise


def _build(
    settings: server_settings.ServerSettings, store: stores.Store, clock: clocks.SystemClock, key: tables.Key
) -> Server:
    keyring = signing.Keyring(settings.state_dir)
    installation = signing.installation(keyring, store)
    models = catalogues.ShippedCatalogue()
    draw_key = tables.derived(key, "comity.draw.1")
    held = tables.TableKeeper(
        settings.state_dir, key, store=store, clock=clock, seal=lambda: sealed.seal(), log=logs.get("tables")
    )
    measures = _measures(settings)
    seen = sightings.Sightings()
    wake = wakes.ConditionWake()
    keeper = listings.ListKeeper(settings.state_dir, store=store, clock=clock, nudge=wake.nudge, log=logs.get("lists"))
    shelf_of_packs = packs.PackKeeper(
        settings.packs, off=settings.packs_off, on=settings.packs_on, log=logs.get("packs")
    )
    origin = f"comity.dev/{installation}"
    trusted = trusts.TrustKeeper(
        settings.trust or settings.state_dir / trusts.FILE,
        audience=origin,
        store=store,
        clock=clock,
        nudge=wake.nudge,
        log=logs.get("trust"),
    )
    inventory = worlds.Inventory(
        store, shelf_of_packs.book, models, seen, lists=keeper.screener, trust=trusted.verifier, look=trusted.look
    )
    inbox = inboxes.Inbox(wake)
    door = arrivals.Arrivals(store, inbox, wake)
    counters = metrics.Metrics()
    calls = executors.BulkheadExecutor(called=counters.backend_called)
    adapters = fleet.PluginFleet(
        registry.Registry(registry.installed()),
        secrets.Secrets(settings.secrets_dir, os.environ),
        fleet.Grounds(settings.state_dir / "backends", installation, clock.now, (str(settings.state_dir),)),
    )
    ids = id_factories.UlidFactory(clock)
    context = contexts.Context(
        store=store,
        clock=clock,
        ids=ids,
        fleet=adapters,
        executor=calls,
        inventory=inventory,
        snapshots=snapshots.Snapshots(models.slugs, measures),
        changed=inbox.offer,
        admit=door.admit,
        nudge=wake.nudge,
        policy_tests_required=settings.policy_tests_required,
        packs_failed=shelf_of_packs.problems,
        documents_of_cases=cases.reader(),
        tables=held,
        draws=draws.commitment(draw_key),
    )
    shelf = signing.Shelf(settings.state_dir)
    sealed = checkpoints.Checkpoints(context, keyring, origin=origin, shelf=shelf)
    parts = loops.Parts(
        *(store, clock, ids, wake, calls, adapters, inventory, inbox, door, models.slugs, measures),
        *(_pace(settings), settings.stale_grace, held.halted, draw_key),
    )
    heart = loops.Heart(parts, ticked=counters.ticked, reviewed=counters.reviewed, log=logs.get("loop"))
    adapters.on_built(heart.watch)
    adapters.look_in(lambda: inventory.world().backends)
    given = services.Services(
        context=context,
        tokens=tokens.TokenBook(context),
        checkpoints=sealed,
        metrics=counters,
        log=logs.get("api"),
        unready=lambda: store.health().read_only_reason or heart.sick(),
    )
    application = app.create(given, hosts=hosts_of(settings))
    held.check()
    return Server(
        *(settings, store, context, given, application, heart, sealing.Sealer(sealed, log=logs.get("log"))),
        *(keeper, trusted, shelf_of_packs, held, tables.watch(held, wake.nudge, log=logs.get("tables"))),
        *(adapters, calls),
    )


def _measures(settings: server_settings.ServerSettings) -> requirements.Tables:
    """Return the distances that ship, with those of the house over them, and the house's exchange rates."""
    try:
        return requirements.Tables(rates.load(*settings.rates), distances.load(*settings.distances))
    except yamls.YamlError as error:
        raise states.StateError(str(error)) from error


def _pace(settings: server_settings.ServerSettings) -> lanes.Pace:
    after = settings.forget_after
    return lanes.Pace(forget_after_s=math.inf if after is None else after.total_seconds())


def hosts_of(settings: server_settings.ServerSettings) -> frozenset[str]:
    """Return the names that a Host header may have, lower case."""
    names = {settings.listen_host, "localhost", *settings.allowed_hosts}
    if server_settings.is_loopback(settings.listen_host):
        names |= {"localhost", "127.0.0.1", "::1"}
    return frozenset(name.lower() for name in names)


def run(settings: server_settings.ServerSettings) -> int:
    """Run until a signal; returns the exit code. Expected trouble is one sentence on stderr."""
    logs.configure(settings.log_level)
    lock = states.ServerLock(settings.state_dir)
    try:
        states.prepare(settings.state_dir)
        lock.take()
    except (states.StateError, OSError) as error:
        return _trouble(str(error))
    try:
        return _run(settings, lock)
    except (states.StateError, stores.StoreError) as error:
        return _trouble(str(error))
    except OSError as error:
        return _trouble(f"the state folder {settings.state_dir}: {error.strerror or error}")
    finally:
        lock.release()


def _run(settings: server_settings.ServerSettings, lock: states.ServerLock) -> int:
    listener = _listen(settings)
    address = _address(settings, listener)
    server = build(settings)
    try:
        _first_start(server)
        lock.write(address)
        return _serve(server, listener, address)
    finally:
        listener.close()
        server.close()


def _first_start(server: Server) -> None:
    """Note the start, make the administrator's token if there is none, apply what the folder declares."""
    now = server.context.clock.now()
    path = server.settings.state_dir / states.ADMIN_TOKEN
    log = logs.get("server")
    mode = server.given.tokens.mode
    try:
        mode = standings.settle(server.context, server.context.world().book, server.settings.one_person)
        body = {"version": version.__version__, "mode": mode.value}
        server.store.commit(stores.Changes(entries=(journal.Entry("server.started", "server", now, "system", body),)))
        if not path.exists():
            made = server.given.tokens.create(
                access.SYSTEM, tenant=None, roles=[access.Role.ADMIN.value], forever=True, note="first administrator"
            )
            states.write_private(path, made.text.encode())
    except stores.StoreFullError:
        log.error("disk.full", message="no new jobs until there is room; reads and cancels work")
    for difference in server.tables.sentences:
        _say(f"comity: {difference}")
    if server.tables.sentences:
        _say(f"comity: nothing new is placed, running jobs go on: {server.tables.remedy}")
    log.info("mode", mode=mode.value)
    _say(f"comity: {standings.said(mode)}")
    if server.settings.documents_dir is not None:
        done, wrong = declared.apply(server.context, server.settings.documents_dir)
        for problem in wrong:
            log.error("document.refused", problem=problem)
        log.info("documents.applied", count=done, refused=len(wrong))


def _serve(server: Server, listener: socket.socket, address: str) -> int:
    settings = server.settings
    config = uvicorn.Config(
        server.application,
        loop="uvloop",
        http=protocols.BoundedProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_config=None,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        backlog=_BACKLOG,
        limit_concurrency=_CONNECTIONS_MAX,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=SHUTDOWN_S,
        ssl_certfile=settings.tls_cert,
        ssl_keyfile=str(settings.tls_key) if settings.tls_key else None,
    )
    web = uvicorn.Server(config)
    server.given.stopping = lambda: web.should_exit
    for number in (signal.SIGTERM, signal.SIGINT):
        # uvicorn raises the signal again when it is done; we are done then, and well.
        signal.signal(number, lambda *_: None)
    _settle_memory()
    server.heart.start()
    server.seals.start()
    server.lists.watch.start()
    server.trust.watch.start()
    server.watch.start()
    server.packs.start(lambda before: _packs_changed(server, before))
    signal.signal(signal.SIGHUP, lambda *_: server.packs.ask())
    _say(f"comity {version.__version__}: listening on {address}, state in {settings.state_dir}")
    web.run(sockets=[listener])
    return 0


def _packs_changed(server: Server, before: rulebook.RuleBook) -> None:
    """Note what other packs loosen, and let the loop look at once."""
    standings.settle(server.context, server.packs.book(), None, before=before)
    server.context.nudge()


def _listen(settings: server_settings.ServerSettings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.listen_host else socket.AF_INET
    try:
        return socket.create_server(
            (settings.listen_host, settings.listen_port), family=family, backlog=_BACKLOG, reuse_port=False
        )
    except OSError as error:
        where = f"{settings.listen_host}:{settings.listen_port}"
        raise states.StateError(f"cannot listen on {where}: {error.strerror}; name another with --listen") from error


def _address(settings: server_settings.ServerSettings, listener: socket.socket) -> str:
    port = listener.getsockname()[1]
    host = f"[{settings.listen_host}]" if ":" in settings.listen_host else settings.listen_host
    return f"{'https' if settings.tls_cert else 'http'}://{host}:{port}"


def _settle_memory() -> None:
    """Build what the first job would wait for, and let the collector forget what will live as long as we do."""
    documents_registry.MODELS["Job"].model_rebuild()
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 50)


def _trouble(text: str) -> int:
    _say(f"comity: {text}")
    return FAILED


def _say(text: str) -> None:
    """Tell the person who typed ``serve``; on stderr, because it is no data."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()
