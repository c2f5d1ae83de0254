"""Bearer tokens: made once and shown once, stored as a hash, compared in constant time, revoked at once.

A token's text is ``comity_<id>_<secret>``: the id finds the row, the hash of the whole text is what is compared.
Several servers on one store read the rows again every second, so a revocation reaches all of them within it.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import re
import secrets
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from orchestrator.domain import ids, journal, modes
from orchestrator.inventory import standings
from orchestrator.ports import stores
from orchestrator.service import access, contexts, problems

REFRESH_S = 1.0
LIFE_DEFAULT = dt.timedelta(days=90)
LIFE_MAX = dt.timedelta(days=3650)
TOKENS_MAX = 10_000
"""Tokens that are neither revoked nor expired."""
_TEXT = re.compile(r"comity_(?P<id>t[0-9a-f]{12})_[A-Za-z0-9_-]{43}", re.ASCII)
_NOBODY = hashlib.sha256(b"").hexdigest()


@dataclass(frozen=True, slots=True)
class Created:
    """A new token; ``text`` is the only copy of its secret."""

    token: stores.Token
    text: str = field(repr=False)


class TokenBook:
    """Knows the tokens of the store, and tells who a text stands for."""

    def __init__(self, context: contexts.Context) -> None:
        self._context = context
        self._lock = threading.Lock()
        self._tokens: dict[str, stores.Token] = {}
        self._mode = modes.Mode.SEPARATE_ROLES
        self._fresh_until = -1.0

    @property
    def mode(self) -> modes.Mode:
        """Return whether one person may hold every right here."""
        self._known()
        return self._mode

    def authenticate(self, text: str | None) -> access.Principal:
        """Return who presents ``text``; raises ``auth.required``, the same for every reason."""
        found = _TEXT.fullmatch(text) if text is not None else None
        token = self._known().get(found["id"]) if found is not None else None
        digest = hashlib.sha256((text or "").encode("utf-8", "replace")).hexdigest()
        same = hmac.compare_digest(digest, token.hash if token is not None else _NOBODY)
        if token is None or not same or not self._alive(token):
            raise problems.ServiceError(
                problems.Kind.UNAUTHENTICATED,
                "auth.required",
                "a valid bearer token is needed: Authorization: Bearer TOKEN",
            )
        return access.Principal(token.id, token.tenant, frozenset(token.roles), self._mode)

    def create(
        self,
        who: access.Principal,
        *,
        tenant: str | None,
        roles: Sequence[str],
        expires: dt.datetime | None = None,
        note: str = "",
        forever: bool = False,
    ) -> Created:
        """Make a token; only an administrator may. ``tenant`` None: the caller's own.

        Raises ``token.roles-exclusive`` for two of the roles that check each other, where these are separate.
        """
        access.require(who, access.ADMINISTERS)
        now = self._context.clock.now()
        self._check_exclusive(roles)
        of = tenant if tenant is not None else who.tenant
        ends = None if forever else expires or now + LIFE_DEFAULT
        self._check(of, roles, ends, now)
        id_ = f"t{secrets.token_hex(6)}"
        text = f"comity_{id_}_{secrets.token_urlsafe(32)}"
        digest = hashlib.sha256(text.encode()).hexdigest()
        unique = tuple(sorted(set(roles)))
        token = stores.Token(id_, digest, of, unique, now, ends, note=note[:200])
        body = {"roles": list(unique), "expires": ends.isoformat() if ends else None, "mode": self._mode.value}
        entry = journal.Entry("token.created", f"token/{id_}", now, who.token_id, body, of)
        self._commit(stores.Changes(tokens=(token,), entries=(entry,)))
        return Created(token, text)

    def list(self, who: access.Principal) -> Sequence[stores.Token]:
        """Return all tokens without their secrets, oldest first."""
        access.require(who, access.ADMINISTERS)
        return sorted(self._known(refresh=True).values(), key=lambda token: (token.created_at, token.id))

    def revoke(self, who: access.Principal, id: str) -> None:
        """Revoke a token at once; twice is fine. Raises ``token.not-found``."""
        access.require(who, access.ADMINISTERS)
        for _ in range(contexts.CONFLICT_TRIES):
            token = self._known(refresh=True).get(id)
            if token is None:
                raise problems.not_found(f"token {access.shown(id)}", "token.not-found")
            if token.revoked_at is not None:
                return
            now = self._context.clock.now()
            entry = journal.Entry("token.revoked", f"token/{id}", now, who.token_id, {}, token.tenant)
            try:
                self._commit(stores.Changes(tokens=(replace(token, revoked_at=now),), entries=(entry,)))
            except stores.VersionConflictError:
                continue
            return
        raise problems.ServiceError(problems.Kind.UNAVAILABLE, "store.busy", "try again")

    def _check_exclusive(self, roles: Sequence[str]) -> None:
        both = access.exclusive(roles)
        if both and self.mode is modes.Mode.SEPARATE_ROLES:
            text = (
                f"roles {' and '.join(both)} exclude each other: who states facts, who writes policy and who submits "
                "check each other; make one token for each, or start the server with --one-person"
            )
            raise problems.ServiceError(problems.Kind.INVALID, "token.roles-exclusive", text)

    def _check(self, tenant: str, roles: Sequence[str], ends: dt.datetime | None, now: dt.datetime) -> None:
        wrong: list[str] = []
        if not ids.is_name(tenant):
            wrong.append("tenant: not a name")
        if not roles or set(roles) - access.ALL_ROLES:
            wrong.append(f"roles: at least one of {', '.join(sorted(access.ALL_ROLES))}")
        if ends is not None and not now < ends <= now + LIFE_MAX:
            wrong.append("expires: must lie in the future, and within ten years")
        if not wrong and sum(map(self._alive, self._known(refresh=True).values())) >= TOKENS_MAX:
            wrong.append(f"there are {TOKENS_MAX} tokens already: revoke some")
        if wrong:
            raise problems.ServiceError(problems.Kind.INVALID, "token.invalid", "; ".join(wrong))

    def _alive(self, token: stores.Token) -> bool:
        ends = token.expires_at
        return token.revoked_at is None and (ends is None or self._context.clock.now() < ends)

    def _known(self, *, refresh: bool = False) -> dict[str, stores.Token]:
        now = self._context.clock.monotonic()
        if refresh or now >= self._fresh_until:
            with self._lock:
                self._mode = standings.mode_of(self._context.store.document(standings.KIND, standings.NAME))
                # First the look: a row that is written after it is looked at before the next refresh.
                distrusted = self._context.tables.distrusted()
                self._tokens = {one.id: one for one in self._context.store.tokens() if one.id not in distrusted}
                self._fresh_until = now + REFRESH_S
        return self._tokens

    def _commit(self, changes: stores.Changes) -> None:
        contexts.commit(self._context, changes)
        self._known(refresh=True)
