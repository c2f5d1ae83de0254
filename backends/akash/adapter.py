"""The port, spoken to Akash by its Console: each provider a site, each attempt a deployment with one lease."""

from __future__ import annotations

import dataclasses
import datetime as dt
import re
import secrets
from collections.abc import Mapping, Sequence

from backends import records
from backends.akash import client, deals, errors, observations, rooms, settings, spending, wire, wrapper
from orchestrator.domain import errors as port_errors
from orchestrator.domain import ids, jobs, sites
from orchestrator.domain import offers as offer_values
from orchestrator.ports import backends

VISIBILITY = dt.timedelta(seconds=30)
"""How long a list may lag behind, which nobody says. What was sent is known here before it leaves."""
SETTLE = dt.timedelta(minutes=3)
"""So long after its sending a request to make a deployment may still take effect: some blocks of the chain."""
_KEY = re.compile(r"[0-9A-Za-z]{1,64}(-[0-9]{1,12}){1,2}", re.ASCII)
_ADDRESS = re.compile(r"akash1[0-9a-z]{38,58}", re.ASCII)
_OVER_MAX = 65_536
_PREFIX = "akash:"
_ONE_ONLY = frozenset({"akash.reused-id", "akash.state"})


class AkashAdapter(backends.BackendAdapter):
    """One account. Safe to call from any thread."""

    def __init__(self, wanted: settings.AkashSettings, context: backends.AdapterContext) -> None:
        self._settings = wanted
        self._context = context
        self._deals = deals.Deals(client.Console(wanted, context.now), wanted)
        self._marks = client.Marks(wanted, context.now)
        self._records = records.Records(context.state_folder, SETTLE, errors.elsewhere)
        self._providers: Mapping[str, wire.Provider] = {}
        self._moved: dict[str, dt.datetime] = {}
        """When a provider was last seen to say another place or owner of itself than before."""
        self._over: dict[str, backends.Observation] = {}
        self._began: set[str] = set()

    def capabilities(self) -> offer_values.Capabilities:
        """Return what a job on this network can use."""
        powers = {offer_values.Capability.LISTS_OWNED, offer_values.Capability.CONTAINERS}
        if self._settings.command_image is not None:
            powers.add(offer_values.Capability.PROCESSES)
        return offer_values.Capabilities(frozenset(powers), VISIBILITY)

    def offers(self) -> Sequence[offer_values.Offer]:
        """Return one offer a provider: of those that are declared as pools, else of those that may be used now."""
        known = self._deals.providers()
        for address, one in known.items():
            if address in self._providers and self._providers[address].place != one.place:
                self._moved[address] = self._context.now()
        self._providers = known
        live = [(key, one) for key, one in self._mine() if _KEY.fullmatch(key)]
        declared = self._context.pools or rooms.discovered(known, self._settings)
        now, made = self._context.now(), []
        for pool in declared:
            address = self._address(pool.name)
            told = rooms.problem(known.get(address), self._settings)
            if not address:
                told = f"settings.providers does not name the provider of pool {pool.name}"
            here = rooms.here(live, address)
            made.append(rooms.offer(self._context.backend, pool, self._settings, here, len(live), now, told))
        if self._context.pools:
            return made
        return [dataclasses.replace(one, pool=pool) for one, pool in zip(made, declared, strict=True)]

    def submit(self, placement: backends.SealedPlacement) -> backends.Handle:
        """Get or create the attempt of this key; see the port. A key that was stopped before is refused."""
        key = str(placement.key)
        if not _KEY.fullmatch(key):
            raise errors.refused("invalid", "the key is none that this backend takes")
        if (told := self._over.get(key)) is not None and told.handle is not None:
            return backends.Handle(told.handle)
        with self._records.alone():  # several calls with one key need one deployment
            record = self._records.read(key)
            if record is not None and record.mark and record.mark.split(" ")[1:2] != [str(placement.spec_digest)]:
                raise errors.refused("conflict", f"a deployment {key} of another document is already there")
            known = self._find(key)
            if known is not None and known.lease is None:
                # Nobody has seen the manifest yet, and it is not kept: the one is closed before another is made.
                if not known.over:
                    self._deals.close(known.dseq)
                    known = self._deals.get(known.dseq)
                if (known is None or known.lease is None) and self._never(
                    key, _folder(record)
                ):  # else it may have begun
                    self._records.remove(key)
                    known = None
            dseq = known.dseq if known is not None else self._create(placement)
        return backends.Handle(f"{_PREFIX}{dseq}")

    def observe(self, refs: Sequence[backends.AttemptRef]) -> Sequence[backends.Observation]:
        """Return what each attempt is now. What is over is not read again."""
        made = []
        for ref in refs:
            try:
                made.append(self._observe(ref))
            except port_errors.BackendError as error:
                if error.code not in _ONE_ONLY:
                    raise
                made.append(backends.Observation(ref.key, offer_values.ObservedState.UNKNOWN, detail=str(error)))
        return made

    def stop(self, ref: backends.AttemptRef, fence: backends.Fence, grace: dt.timedelta) -> None:
        """Close exactly this attempt's deployment; one that never came never will. The network gives no grace."""
        key = str(ref.key)
        if not _KEY.fullmatch(key) or key in self._over:
            return
        known = self._find(key)
        if known is not None and known.over:
            return
        self._records.stop(key)
        if known is None:
            known = self._find(key)  # whoever submitted meanwhile has been seen here, or sees the mark
        if known is not None and not known.over:
            self._deals.close(known.dseq)

    def close(self) -> None:
        """Nothing is held. Attempts go on."""

    def list_owned(self) -> Sequence[backends.AttemptRef]:
        """Return every attempt with a deployment that is not closed."""
        found = {key: one.dseq for key, one in reversed(self._mine()) if _KEY.fullmatch(key)}
        return [backends.AttemptRef(ids.AttemptKey(key), f"{_PREFIX}{found[key]}") for key in sorted(found)]

    def forget(self, ref: backends.AttemptRef) -> None:
        """Remove the marks of an attempt that is over, and what is written down of it here."""
        key = str(ref.key)
        if _KEY.fullmatch(key) and (known := self._find(key)) is not None and known.over:
            record = self._records.read(key)
            for name in (wrapper.BEGAN, wrapper.AGAIN, wrapper.ENDED) if record is not None else ():
                self._marks.remove(self._object(key, _folder(record), name))
            self._records.forget(key)
            self._over.pop(key, None)
            self._began.discard(key)

    # --- reading ------------------------------------------------------------------------------------------------------

    def _observe(self, ref: backends.AttemptRef) -> backends.Observation:
        key, states = str(ref.key), offer_values.ObservedState
        if not _KEY.fullmatch(key):
            return backends.Observation(ref.key, states.GONE, detail="not a key of this backend")
        if (told := self._over.get(key)) is not None:
            return told
        known, record = self._find(key), self._records.read(key)
        if known is not None and not known.over and known.lease is None:
            known = self._left_alone(known)
        if known is None or record is None:
            text, state = "the network knows no deployment of this key", states.GONE
            if record is not None and record.id is not None:
                text = f"it was deployed as {record.id}, which the Console does not know any more: is it this account?"
                state = states.UNKNOWN
            elif self._records.unsettled(key, self._context.now()):
                text, state = "its deployment was sent and not answered, and may still take effect", states.UNKNOWN
            return backends.Observation(ref.key, state, detail=text)
        stopped, lease = self._records.is_stopped(key), known.lease
        where = observations.whereabouts(lease, self._providers.get(lease.provider) if lease is not None else None)
        marks = self._read(key, _folder(record), leased=lease is not None)
        taken = lease is not None and lease.state != "active" and known.state == "active" and _closed(lease)
        ending = stopped or taken or marks.again or marks.ended is not None
        late = None if known.over or ending or lease is None else self._late(record, marks)
        if late is not None and not marks.began and not self._never(key, _folder(record)):
            late, marks = None, dataclasses.replace(marks, began=True)
        if not known.over:
            if not ending and late is None:
                return observations.live(ref, known, marks, where)
            self._deals.close(known.dseq)  # an end is told only when nothing is paid for any more
            marks = self._read(key, _folder(record), leased=lease is not None)  # written meanwhile
        outcome = observations.outcome(known, marks, stopped=stopped)
        if late is not None and marks.ended is None:
            outcome = late
        seen = backends.Observation(
            ref.key, states.ENDED, outcome, f"{_PREFIX}{known.dseq}", None, outcome.detail, where
        )
        if len(self._over) >= _OVER_MAX:
            self._over.clear()
        self._over[key] = seen
        return seen

    def _late(self, record: records.Record, marks: observations.Marks) -> jobs.Outcome | None:
        """Return the outcome of an attempt that has had its time: to begin, or to end; None: it has some left.

        The container keeps the limit itself; where it cannot tell its end, its lease would cost on without end.
        """
        past = self._context.now() - record.intended_at
        begin = dt.timedelta(minutes=self._settings.start_minutes)
        if not marks.began:
            return observations.no_sign(self._settings.start_minutes) if past > begin else None
        longest = begin + dt.timedelta(seconds=_seconds(record)) + SETTLE
        return observations.no_end() if past > longest else None

    def _read(self, key: str, folder: str, *, leased: bool) -> observations.Marks:
        """Return what an attempt wrote. Raises BackendError: nobody knows."""
        if not leased:
            return observations.Marks(began=False, again=False, ended=None)
        ended = self._marks.read(self._object(key, folder, wrapper.ENDED))
        if key not in self._began:
            told = self._marks.read(self._object(key, folder, wrapper.BEGAN))
            if told is not None and told != wrapper.NEVER:
                self._began.add(key)
        began = key in self._began
        again = began and ended is None and self._marks.read(self._object(key, folder, wrapper.AGAIN)) is not None
        return observations.Marks(began, again, ended)

    def _never(self, key: str, folder: str) -> bool:
        """See to it that an attempt never begins, whatever of it still starts somewhere; False: it has begun."""
        return self._marks.claim(self._object(key, folder, wrapper.BEGAN), wrapper.NEVER)

    def _left_alone(self, known: wire.Deployment) -> wire.Deployment | None:
        """Close a deployment without a lease for whose bid nobody waits any more: its manifest is gone."""
        with self._records.alone(wait=False) as nobody:
            if not nobody:
                return known
            now = self._deals.get(known.dseq)  # whoever waited may have got one since
            if now is None or now.over or now.lease is not None:
                return now
            self._deals.close(now.dseq)
            return self._deals.get(now.dseq)

    def _find(self, key: str) -> wire.Deployment | None:
        """Return the deployment of a key as it is now; None where the account has none."""
        record = self._records.read(key)
        if record is None or not record.mark:
            return None
        mark = record.mark.split(" ")[0]
        if record.id is not None:
            found = self._deals.get(record.id)
            if found is not None and found.mark != mark:
                raise errors.elsewhere("reused-id", f"the Console knows {record.id} as another deployment than ours")
            return found
        mine = deals.of_marks(self._deals.all(), {mark: key})
        for _, one in mine[1:]:
            self._deals.close(one.dseq)  # made twice: the first one counts
        if not mine:
            return None
        self._records.write(key, dataclasses.replace(record, id=mine[0][1].dseq))
        return mine[0][1]

    def _mine(self) -> list[tuple[str, wire.Deployment]]:
        marks = {one.mark.split(" ")[0]: key for key, one in self._records.all().items() if one.mark}
        return deals.of_marks(self._deals.all(), marks) if marks else []

    def _object(self, key: str, folder: str, name: str) -> str:
        """Return the name of a mark. Each deployment has a folder of its own: no other's mark is taken for its."""
        return f"comity/{self._context.installation}/{self._context.backend}/{key}/{folder}/{name}"

    def _address(self, pool: str) -> str:
        """Return the address of a pool's provider; "" where nobody says it."""
        address = self._settings.providers.get(pool, pool)
        return address if _ADDRESS.fullmatch(address) else ""

    # --- changing -----------------------------------------------------------------------------------------------------

    def _create(self, placement: backends.SealedPlacement) -> str:
        """Deploy an attempt that the account does not have. What may have been deployed is never deployed again."""
        key, now = str(placement.key), self._context.now()
        if self._records.is_stopped(key):
            raise errors.stopped()
        record = self._records.read(key)
        if record is not None and record.id is not None:
            text = f"{key} was deployed as {record.id}, which the Console does not know any more: not deployed again"
            raise errors.refused("gone", text)
        if self._records.unsettled(key, now):
            raise errors.unsure("unsettled", f"the deployment of {key} was sent, and may still take effect")
        folder = secrets.token_hex(8)
        wish = self._wish(placement, folder, now)
        self._deals.check(wish)
        seconds = spending.seconds(placement, self._settings)
        mark = f"{wish.mark} {placement.spec_digest} {seconds} {folder}"
        self._records.write(key, records.Record(now, None, wish.deposit_micro, mark=mark))
        try:
            dseq, manifest = self._deals.create(wish)
        except port_errors.BackendError as error:
            if error.effects is port_errors.SideEffects.NONE:
                self._records.remove(key)
            raise
        self._records.write(key, records.Record(now, dseq, wish.deposit_micro, mark=mark))
        if self._records.is_stopped(key):
            self._deals.close(dseq)
            raise errors.stopped()
        try:
            bid = self._deals.bid(wish, dseq)
        except port_errors.BackendError as error:
            if error.effects is port_errors.SideEffects.NONE:
                self._records.remove(key)  # closed again before anybody was paid: nothing stays reserved
            raise
        try:
            self._deals.lease(wish, bid, dseq, manifest)
        except port_errors.BackendError as error:
            if error.effects is port_errors.SideEffects.NONE and not self._never(key, folder):
                return dseq  # it began all the same, and is told of like any other
            raise
        return dseq

    def _wish(self, placement: backends.SealedPlacement, folder: str, now: dt.datetime) -> deals.Wish:
        address = self._address(placement.pool)
        if not address:
            raise errors.elsewhere("no-provider", f"settings.providers does not name that of pool {placement.pool}")
        seconds = spending.seconds(placement, self._settings)
        deposit = spending.reserve(seconds, self._settings, self._records, now)
        valid = dt.timedelta(seconds=seconds) + dt.timedelta(minutes=self._settings.start_minutes) + SETTLE
        ways = (
            ("look", "GET", wrapper.BEGAN),
            ("began", "PUT", wrapper.BEGAN),
            ("again", "PUT", wrapper.AGAIN),
            ("ended", "PUT", wrapper.ENDED),
        )
        key = str(placement.key)
        marks = {
            name: self._marks.address(method, self._object(key, folder, what), valid) for name, method, what in ways
        }
        per_block = self._settings.spend.per_hour * 1_000_000 / 3600 * wire.BLOCK_S
        made = wire.document(placement, self._settings, marks, seconds, per_block)
        return deals.Wish(made, wire.mark(made), address, self._judged(placement.pool, address), per_block, deposit)

    def _judged(self, pool: str, address: str) -> str | tuple[str | None, str | None, str | None]:
        """Return what was judged of a provider: what its pool declares, else what it said when it was offered."""
        declared: sites.Pool | None = next((one for one in self._context.pools if one.name == pool), None)
        if declared is not None and declared.location is not None and declared.location.country is not None:
            return declared.location.country
        known, moved = self._providers.get(address), self._moved.get(address)
        if moved is not None and self._context.now() - moved < SETTLE:
            text = f"provider {address} said another place or owner of itself a moment ago: what was judged is not sure"
            raise errors.elsewhere("moved", text)
        if known is None:
            raise errors.unsent("unseen", f"provider {address} was not seen yet by this process: it is looked at soon")
        return known.place


def _folder(record: records.Record | None) -> str:
    return record.mark.split(" ")[-1] if record is not None else ""


def _seconds(record: records.Record) -> int:
    """Return the longest run that an attempt was given."""
    return int(record.mark.split(" ")[2])


def _closed(lease: wire.Lease) -> bool:
    return lease.state in ("closed", observations.FUNDS)


class AkashPlugin:
    """What the entry point names."""

    name = "akash"
    port_version = backends.PORT_VERSION
    summary = ""

    def settings_schema(self) -> Mapping[str, object]:
        """Return the JSON Schema of the settings."""
        return settings.AkashSettings.schema_document()

    def build(self, settings_: Mapping[str, object], context: backends.AdapterContext) -> backends.BackendAdapter:
        """Return an adapter. No I/O."""
        return AkashAdapter(settings.AkashSettings.read(settings_), context)
