"""A double of Akash, not the network: deployments, bids, leases and escrow of its managed wallets.

After ``swagger/openapi.json`` and the API reference of akash-network/console (read 2026-11-22 and -23) and the states
of the chain's records. What those do not say is this double's own: a block lasts 6 seconds, least and first deposit are
half a dollar, closed deployments stay listed (:attr:`Network.lists_closed`). Documents become groups and manifests by
``backends.akash.sdl``, which the official vectors and the official package check: that one part is not independent.
"""

import dataclasses
import itertools
import json
import pathlib
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import yaml

from backends.akash.sdl import documents, outcomes
from tests.doubles.akash import markets, services
from tests.doubles.akash.markets import RefusalError

BLOCK_S = 6.0
LEAST_USD = 0.5
FIRST_DSEQ = 20_000_001


@dataclasses.dataclass
class Bid:
    """A bid of a provider on a group; a lease too where it was taken."""

    provider: markets.Provider
    group: int
    amount: float
    created_s: float
    state: str = "open"
    lease: "Lease | None" = None


@dataclasses.dataclass
class Lease:
    """What runs of a group at a provider."""

    created_s: float
    state: str = "active"
    closed_s: float | None = None
    reason: str | None = None
    workload: services.Workload | None = None


@dataclasses.dataclass
class Deployment:
    """One deployment. Money in uact, times in seconds of the network's clock."""

    owner: str
    dseq: str
    groups: list[dict[str, Any]]
    manifest: list[dict[str, Any]]
    created_s: float
    settled_s: float
    funds: float
    deposits: list[tuple[float, float]]
    spent: float = 0.0
    state: str = "active"
    overdrawn: bool = False
    bids: list[Bid] = dataclasses.field(default_factory=list)

    def live(self) -> Iterator[tuple[Bid, Lease]]:
        """Yield the bids whose lease is active."""
        return ((bid, bid.lease) for bid in self.bids if bid.lease is not None and bid.lease.state == "active")


class Network:
    """Deployments of all accounts. ``clock``: seconds, any origin; ``images``: image -> its program, ``None``: none."""

    def __init__(self, clock: Callable[[], float], images: Callable[[str], Sequence[str] | None]) -> None:
        self.clock, self.images = clock, images
        self.providers: list[markets.Provider] = []
        self.deployments: list[Deployment] = []
        self.balances_usd: dict[str, float] = {}
        """Account -> what is left to deposit; an account that is not here has no bound."""
        self.states: dict[str, str] = {}
        """Dseq -> state that is told of the deployment and its leases instead."""
        self.next_dseqs: list[str] = []
        """Numbers that the next deployments get: used again, where the test says so."""
        self.lists_closed = True
        self.restart_s = 0.1
        self.bid_life_s = 300.0
        self._numbers = itertools.count(FIRST_DSEQ)
        self._places = itertools.count()
        self._folder = tempfile.TemporaryDirectory(prefix="akash-double-")
        self.lock = threading.RLock()

    def close(self) -> None:
        """End every service."""
        with self.lock:
            for deployment in self.deployments:
                for _, lease in deployment.live():
                    _end(lease)
        self._folder.cleanup()

    def height(self, at_s: float | None = None) -> int:
        """Return the number of the block of a moment, of now where none is given."""
        return int((self.clock() if at_s is None else at_s) / BLOCK_S) + 1

    def find(self, owner: str, dseq: str) -> Deployment:
        """Return the newest deployment of this number, settled."""
        self.settle()
        for deployment in reversed(self.deployments):
            if (deployment.owner, deployment.dseq) == (owner, dseq):
                return deployment
        raise RefusalError(404, "NotFound", "Deployment not found")

    # --- what a tenant does -------------------------------------------------------------------------------------------

    def create(self, owner: str, sdl: str, deposit_usd: float | None) -> dict[str, Any]:
        """``POST /v1/deployments``."""
        groups, manifest = _read(sdl)
        deposit = LEAST_USD if deposit_usd is None else deposit_usd
        with self.lock:
            uact = self._take(owner, deposit)
            now = self.clock()
            dseq = self.next_dseqs.pop(0) if self.next_dseqs else str(next(self._numbers))
            made = Deployment(owner, dseq, groups, manifest, now, now, uact, [(uact, now)])
            self.deployments.append(made)
            sign = {"code": 0, "transactionHash": outcomes.version(manifest).upper(), "rawLog": ""}
            return {"data": {"dseq": dseq, "manifest": _text(manifest), "signTx": sign}}

    def update(self, owner: str, dseq: str, sdl: str) -> dict[str, Any]:
        """``PUT /v1/deployments/{dseq}``: another manifest for the same groups; it runs anew."""
        groups, manifest = _read(sdl)
        with self.lock:
            deployment = self._active(owner, dseq)
            if groups != deployment.groups:
                raise RefusalError(400, "BadRequest", "groups of a deployment cannot change")
            deployment.manifest = manifest
            for bid, lease in deployment.live():
                _end(lease)
                lease.workload = self._run(deployment, bid)
            return {"data": self.told(deployment, status=True)}

    def deposit(self, owner: str, dseq: str, usd: float) -> dict[str, Any]:
        """``POST /v1/deposit-deployment``."""
        with self.lock:
            deployment = self._active(owner, dseq)
            uact = self._take(owner, usd)
            deployment.funds += uact
            deployment.deposits.append((uact, self.clock()))
            return {"data": self.told(deployment, status=True)}

    def delete(self, owner: str, dseq: str) -> dict[str, Any]:
        """``DELETE /v1/deployments/{dseq}``; what is left of the deposit goes back."""
        with self.lock:
            self._end(self._active(owner, dseq), "lease_closed_owner", self.clock())
            return {"data": {"success": True}}

    def bids(self, owner: str, dseq: str) -> dict[str, Any]:
        """``GET /v1/bids``."""
        with self.lock:
            deployment = self.find(owner, dseq)
            self._solicit(deployment)
            return {"data": [self._told_bid(deployment, bid) for bid in deployment.bids]}

    def lease(self, owner: str, manifest: str, wanted: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """``POST /v1/leases``: first the leases, then the manifest to each provider. The second may fail alone."""
        with self.lock:
            if len({one["dseq"] for one in wanted}) != 1:
                raise RefusalError(400, "BadRequest", "leases of one deployment, at least one")
            deployment = self._active(owner, wanted[0]["dseq"])
            self._solicit(deployment)
            chosen = [self._open(deployment, one) for one in wanted]
            for bid in chosen:
                bid.state, bid.lease = "active", Lease(self.clock())
                for other in deployment.bids:
                    if other.group == bid.group and other.state == "open":
                        other.state = "lost"
            try:
                sent = json.loads(manifest)
            except ValueError:
                sent = None
            if sent != deployment.manifest:
                raise RefusalError(422, "UnprocessableEntity", "manifest version validation failed")
            for bid in chosen:
                if not bid.provider.takes_manifests:
                    raise RefusalError(500, "InternalServerError", f"provider {bid.provider.address} took no manifest")
                assert bid.lease is not None
                bid.lease.workload = self._run(deployment, bid)
            return {"data": self.told(deployment, status=True)}

    def get(self, owner: str, dseq: str) -> dict[str, Any]:
        """``GET /v1/deployments/{dseq}``."""
        with self.lock:
            return {"data": self.told(self.find(owner, dseq), status=True)}

    def list(self, owner: str, skip: int, limit: int) -> dict[str, Any]:
        """``GET /v1/deployments``, newest first."""
        with self.lock:
            self.settle()
            mine = [one for one in reversed(self.deployments) if one.owner == owner]
            mine = [one for one in mine if self.lists_closed or one.state == "active"]
            page = [self.told(one, status=False) for one in mine[skip : skip + limit]]
            more = {"total": len(mine), "skip": skip, "limit": limit, "hasMore": skip + limit < len(mine)}
            return {"data": {"deployments": page, "pagination": more}}

    # --- what the network does ----------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Let every active deployment pay until now; who cannot is closed at the moment its escrow was empty."""
        with self.lock:
            now = self.clock()
            for deployment in self.deployments:
                if deployment.state != "active":
                    continue
                rate = sum(bid.amount for bid, _ in deployment.live()) / BLOCK_S
                due = rate * max(0.0, now - deployment.settled_s)
                paid = min(due, deployment.funds)
                ended_s = deployment.settled_s + paid / rate if rate else now
                deployment.funds, deployment.spent = deployment.funds - paid, deployment.spent + paid
                deployment.settled_s = now
                if due > paid:
                    deployment.overdrawn = True
                    self._end(deployment, "lease_closed_insufficient_funds", ended_s)

    def withdraw(self, owner: str, dseq: str, reason: str = "lease_closed_unstable") -> None:
        """Let the providers of a deployment close its leases; the deployment stays."""
        with self.lock:
            for bid, lease in self.find(owner, dseq).live():
                self._close(bid, lease, reason, self.clock())

    def told(self, deployment: Deployment, *, status: bool) -> dict[str, Any]:
        """Return a deployment as replies tell it."""
        told_state = self.states.get(deployment.dseq, deployment.state)
        leases = []
        for bid, lease in ((bid, bid.lease) for bid in deployment.bids if bid.lease is not None):
            assert lease is not None
            closed = "0" if lease.closed_s is None else str(self.height(lease.closed_s))
            one: dict[str, Any] = {
                "id": _bid_id(deployment, bid),
                "state": self.states.get(deployment.dseq, lease.state),
                "price": _coin(bid.amount),
                "created_at": str(self.height(lease.created_s)),
                "closed_on": closed,
            }
            if lease.reason is not None:
                one["reason"] = lease.reason
            if status:
                live = lease.workload if lease.state == "active" else None
                one["status"] = None if live is None else live.status()
            leases.append(one)
        head = {
            "id": {"owner": deployment.owner, "dseq": deployment.dseq},
            "state": told_state,
            "hash": markets.hash_text(outcomes.version(deployment.manifest)),
            "created_at": str(self.height(deployment.created_s)),
        }
        return {"deployment": head, "leases": leases, "escrow_account": self._escrow(deployment)}

    def _escrow(self, deployment: Deployment) -> dict[str, Any]:
        state = "overdrawn" if deployment.overdrawn else "open" if deployment.state == "active" else "closed"
        deposits = [
            {"owner": deployment.owner, "height": str(self.height(at)), "source": "grant", "balance": _coin(uact)}
            for uact, at in deployment.deposits
        ]
        return _account("deployment", f"{deployment.owner}/{deployment.dseq}", deployment.owner) | {
            "state": {
                "owner": deployment.owner,
                "state": state,
                "transferred": [_coin(deployment.spent)],
                "settled_at": str(self.height(deployment.settled_s)),
                "funds": [_coin(deployment.funds)],
                "deposits": deposits,
            }
        }

    def _told_bid(self, deployment: Deployment, bid: Bid) -> dict[str, Any]:
        name = f"{deployment.owner}/{deployment.dseq}/{bid.group + 1}/1/{bid.provider.address}"
        one = {
            "id": _bid_id(deployment, bid),
            "state": bid.state,
            "price": _coin(bid.amount),
            "created_at": str(self.height(bid.created_s)),
            "resources_offer": markets.offer(deployment.groups[bid.group]),
        }
        if bid.provider.reclamation is not None:
            one["reclamation_window"] = bid.provider.reclamation
        return {"bid": one, "escrow_account": _account("bid", name, bid.provider.address)}

    def _solicit(self, deployment: Deployment) -> None:
        now = self.clock()
        for provider in self.providers:
            for at, group in enumerate(deployment.groups):
                mine = [bid for bid in deployment.bids if bid.group == at]
                taken = any(bid.lease is not None or bid.provider is provider for bid in mine)
                due_s = deployment.created_s + provider.after_s
                if deployment.state == "active" and not taken and due_s <= now and provider.wants(group):
                    amount = provider.amount(group)
                    if amount <= markets.bound(group) or provider.bids == "all":
                        deployment.bids.append(Bid(provider, at, amount, due_s))
        for bid in deployment.bids:
            if bid.state == "open" and now > bid.created_s + self.bid_life_s:
                bid.state = "closed"

    def _open(self, deployment: Deployment, one: dict[str, Any]) -> Bid:
        for bid in deployment.bids:
            known = (bid.group + 1, 1, bid.provider.address)
            if bid.state == "open" and known == (one["gseq"], one["oseq"], one["provider"]):
                return bid
        raise RefusalError(400, "BadRequest", f"no open bid of {one['provider']}")

    def _run(self, deployment: Deployment, bid: Bid) -> services.Workload:
        name = deployment.groups[bid.group]["name"]
        group = next(one for one in deployment.manifest if one["name"] == name)
        folder = pathlib.Path(self._folder.name) / f"{deployment.dseq}-{next(self._places)}"
        return services.Workload(group, folder, self.images, self.restart_s)

    def _active(self, owner: str, dseq: str) -> Deployment:
        deployment = self.find(owner, dseq)
        if deployment.state != "active":
            raise RefusalError(400, "BadRequest", "Deployment closed")
        return deployment

    def _take(self, owner: str, usd: float) -> float:
        if usd < LEAST_USD:
            raise RefusalError(400, "BadRequest", f"a deposit is at least {LEAST_USD} USD")
        if usd > self.balances_usd.get(owner, usd):
            raise RefusalError(402, "PaymentRequired", "Insufficient balance")
        if owner in self.balances_usd:
            self.balances_usd[owner] -= usd
        return usd * 1e6

    def _end(self, deployment: Deployment, reason: str, at_s: float) -> None:
        for bid, lease in deployment.live():
            self._close(bid, lease, reason, at_s)
        for bid in deployment.bids:
            if bid.state == "open":
                bid.state = "closed"
        if deployment.owner in self.balances_usd:
            self.balances_usd[deployment.owner] += deployment.funds / 1e6
        deployment.funds, deployment.state = 0.0, "closed"

    def _close(self, bid: Bid, lease: Lease, reason: str, at_s: float) -> None:
        _end(lease)
        bid.state = "closed"
        short = reason == "lease_closed_insufficient_funds"
        lease.state, lease.reason, lease.closed_s = "insufficient_funds" if short else "closed", reason, at_s


def _end(lease: Lease) -> None:
    if lease.workload is not None:
        lease.workload.end()


def _read(sdl: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    try:
        return outcomes.made(documents.read(yaml.safe_load(sdl)))
    except (ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise RefusalError(400, "BadRequest", f"Invalid SDL: {error}") from error


def _text(manifest: list[dict[str, Any]]) -> str:
    return json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _coin(uact: float) -> dict[str, str]:
    return {"denom": markets.UACT, "amount": f"{uact:.18f}"}


def _bid_id(deployment: Deployment, bid: Bid) -> dict[str, Any]:
    where = {"owner": deployment.owner, "dseq": deployment.dseq, "gseq": bid.group + 1, "oseq": 1}
    return {**where, "provider": bid.provider.address, "bseq": 0}


def _account(scope: str, name: str, owner: str) -> dict[str, Any]:
    state = {"owner": owner, "state": "open", "transferred": [], "settled_at": "1", "funds": [], "deposits": []}
    return {"id": {"scope": scope, "xid": name}, "state": state}
