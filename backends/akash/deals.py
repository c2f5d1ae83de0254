"""What is done at the network for an attempt: a deployment is made, one provider's bid is taken, all of it is closed.

The sites were judged before anything is sent, so the bid that counts is that of the chosen provider and no other,
however cheap; and only while its record says what it said when it was judged.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backends.akash import client, errors, rooms, settings, wire
from orchestrator.domain import errors as port_errors

PAGE, OVERLAP, PAGES_MAX = 100, 20, 200
_POLL_S = 1.0


@dataclass(frozen=True, slots=True)
class Wish:
    """A deployment to be made. ``per_block``: the most that may be asked, uact."""

    document: Mapping[str, object]
    mark: str
    address: str
    judged: str | tuple[str | None, str | None, str | None]
    """What was judged: the country that its pool declares, else all that it said of its place and owner."""
    per_block: float
    deposit_micro: int


class Deals:
    """The account's deployments. Safe to call from any thread."""

    def __init__(self, console: client.Console, wanted: settings.AkashSettings) -> None:
        self._console = console
        self._settings = wanted

    def providers(self) -> dict[str, wire.Provider]:
        """Return every provider of the network by address. Raises BackendError."""
        rows = self._console.call("GET", "/v1/providers", public=True).body
        if not isinstance(rows, list):
            raise self._malformed("no list of providers")
        found = [one for one in map(wire.provider, rows) if one is not None]
        return {one.address: one for one in found}

    def provider(self, address: str) -> wire.Provider | None:
        """Return a provider as it is now; None: the network lists none of this address."""
        answer = self._console.call("GET", f"/v1/providers/{address}", public=True)
        if answer.status == 404:
            return None
        made = wire.provider(answer.body)
        if made is None or made.address != address:
            raise self._malformed("no provider, or another")
        return made

    def all(self) -> list[wire.Deployment]:
        """Return every deployment of the account that is not closed. Raises BackendError."""
        found: dict[str, wire.Deployment] = {}
        for page in range(PAGES_MAX):
            # Pages overlap: where some before were removed meanwhile, the ones after them have moved up.
            query = {"skip": str(page * (PAGE - OVERLAP)), "limit": str(PAGE)}
            body = self._console.call("GET", "/v1/deployments", query).body
            data = body.get("data") if isinstance(body, dict) else None
            rows = data.get("deployments") if isinstance(data, dict) else None
            more = data.get("pagination") if isinstance(data, dict) else None
            if not isinstance(rows, list) or not isinstance(more, dict):
                raise self._malformed("no list of deployments")
            made = [wire.deployment(row) for row in rows]
            if None in made:
                raise self._malformed("a list with what is no deployment")
            found |= {one.dseq: one for one in made if one is not None}
            if more.get("hasMore") is not True:
                return [one for one in found.values() if not one.over]
        most = PAGES_MAX * (PAGE - OVERLAP)
        raise errors.elsewhere("too-many", f"the account has more than {most} deployments: use its own")

    def get(self, dseq: str) -> wire.Deployment | None:
        """Return a deployment; None where the account has none of this number. Raises BackendError."""
        answer = self._console.call("GET", _path(dseq))
        if answer.status == 404:
            return None
        made = self._deployment(answer.body)
        if made.dseq != dseq:
            raise self._malformed("another deployment")
        return made

    def create(self, wish: Wish) -> tuple[str, str]:
        """Make the deployment and return its number and manifest. Raises BackendError."""
        deposit = wish.deposit_micro / 1_000_000
        body = {"data": {"sdl": json.dumps(wish.document), "deposit": deposit}}
        data = self._data(self._console.call("POST", "/v1/deployments", body=body))
        signed = data.get("signTx")
        if isinstance(signed, dict) and signed.get("code") not in (0, None):
            text = errors.shown(str(signed.get("rawLog")))
            raise errors.elsewhere("chain", f"the chain refused the deployment: {text}")
        dseq, manifest = data.get("dseq"), data.get("manifest")
        if not isinstance(dseq, str) or not dseq.isdecimal() or not isinstance(manifest, str):
            raise self._malformed("no deployment that was made")
        return dseq, manifest

    def bid(self, wish: Wish, dseq: str) -> wire.Bid:
        """Return the chosen provider's bid, which may be taken. Where there is none the deployment is closed again.

        Raises BackendError: with no effects where nothing was left behind.
        """
        try:
            bid = self._bid(wish, dseq)
            self.check(wish)
        except port_errors.BackendError:
            self.close(dseq)
            raise
        return bid

    def lease(self, wish: Wish, bid: wire.Bid, dseq: str, manifest: str) -> None:
        """Take a bid. Where no lease comes of it, or one with somebody else, the deployment is closed again.

        Raises BackendError: with no effects where nothing was left behind but what may have begun before it was closed.
        """
        one = {"dseq": dseq, "gseq": bid.gseq, "oseq": bid.oseq, "provider": bid.provider}
        try:
            self._console.call("POST", "/v1/leases", body={"manifest": manifest, "leases": [one]})
        except port_errors.BackendError as error:
            made = self.get(dseq)
            if made is None or (lease := made.lease) is None or lease.state != "active" or lease.services is None:
                self.close(dseq)
                text = f"the lease, or the manifest for it, did not come to be, and is closed: {error}"
                raise errors.elsewhere("lease", errors.shown(text)) from error
        taken = self.get(dseq)
        if taken is None or taken.lease is None or taken.lease.provider != wish.address:
            self.close(dseq)
            raise errors.elsewhere("lease", "the lease is not with the provider that was chosen: closed again")

    def check(self, wish: Wish) -> None:
        """Raise BackendError where the chosen provider is not what was judged any more. Nothing is changed."""
        now = self.provider(wish.address)
        if told := rooms.problem(now, self._settings):
            raise errors.elsewhere("provider", f"provider {wish.address}: {told}")
        said = None if now is None else now.country if isinstance(wish.judged, str) else now.place
        if said != wish.judged:
            text = f"provider {wish.address} says another place or owner of itself than when it was judged"
            raise errors.elsewhere("moved", text)

    def close(self, dseq: str) -> None:
        """Close a deployment, its leases with it; what is closed already is fine. Raises BackendError."""
        try:
            self._console.call("DELETE", _path(dseq))
        except port_errors.BackendError as error:
            left = self.get(dseq)
            if left is None or left.over:
                return  # it was closed meanwhile, which is said by an error
            if isinstance(error, port_errors.TransientError):
                raise
            raise errors.unsure("close", f"deployment {dseq} could not be closed: {error}") from error

    def _bid(self, wish: Wish, dseq: str) -> wire.Bid:
        until_s, pause, others = time.monotonic() + self._settings.bid_seconds, threading.Event(), 0
        while True:
            body = self._console.call("GET", "/v1/bids", {"dseq": dseq}).body
            rows = body.get("data") if isinstance(body, dict) else None
            if not isinstance(rows, list):
                raise self._malformed("no list of bids")
            found = [one for one in map(wire.bid, rows) if one is not None]
            mine = [one for one in found if one.provider == wish.address and one.state == "open"]
            fit = [one for one in mine if one.amount <= wish.per_block]
            if fit:
                return min(fit, key=lambda one: one.amount)
            others = len(found) - len(mine)
            if time.monotonic() >= until_s:
                break
            pause.wait(_POLL_S)
        dear = f"; it asks {min(one.amount for one in mine):g} uact a block" if mine else ""
        text = f"provider {wish.address} made no bid of at most {wish.per_block:g} uact a block within "
        text += f"{self._settings.bid_seconds} s{dear} ({others} bids of others, which were not chosen): closed again"
        raise errors.elsewhere("no-bid", text)

    def _data(self, answer: client.Answer) -> Mapping[str, object]:
        data = answer.body.get("data") if isinstance(answer.body, dict) and answer.status != 404 else None
        if not isinstance(data, dict):
            raise self._malformed("no data")
        return data

    def _deployment(self, body: object) -> wire.Deployment:
        made = wire.deployment(body.get("data")) if isinstance(body, dict) else None
        if made is None:
            raise self._malformed("no deployment")
        return made

    def _malformed(self, what: str) -> port_errors.TransientError:
        return errors.unsure("malformed", f"what {self._console.url} answered is {what}")


def _path(dseq: str) -> str:
    return f"/v1/deployments/{urllib.parse.quote(dseq, safe='')}"


def of_marks(found: Sequence[wire.Deployment], marks: Mapping[str, str]) -> list[tuple[str, wire.Deployment]]:
    """Return our deployments with their keys, in order of key and number. ``marks``: mark -> key."""
    mine = [(marks[one.mark], one) for one in found if one.mark in marks]
    return sorted(mine, key=lambda pair: (pair[0], int(pair[1].dseq)))
