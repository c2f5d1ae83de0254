"""Who asks, and what that one may: the only place that compares roles and tenants.

The tenant comes from the token, never from a body. What belongs to another tenant is answered as if it did not exist.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.domain import jobs, modes
from orchestrator.service import problems


class Role(enum.Enum):
    """What a token may do; ``admin`` may do all of it, and alone makes tokens."""

    SUBMIT = "submit"
    OPERATE = "operate"
    FACTS = "facts"
    POLICY = "policy"
    AUDIT = "audit"
    STEWARD = "steward"
    ADMIN = "admin"


ALL_ROLES = frozenset(role.value for role in Role)

EXCLUSIVE = (Role.FACTS, Role.POLICY, Role.SUBMIT)
"""Who states facts, who writes rules and who wants to compute check each other: no two of them in one token, unless
one person is everybody here (``modes.Mode``)."""
_EXCLUSIVE = frozenset(role.value for role in EXCLUSIVE)

SUBMITS = (Role.SUBMIT,)
CANCELS = (Role.SUBMIT, Role.OPERATE)
READS_JOBS = (Role.SUBMIT, Role.OPERATE, Role.AUDIT, Role.STEWARD)
READS_LOGS = (Role.SUBMIT, Role.OPERATE)
PLANS = (Role.SUBMIT, Role.OPERATE, Role.AUDIT, Role.POLICY, Role.STEWARD)
OPERATES = (Role.OPERATE,)
CONFIRMS = (Role.FACTS, Role.OPERATE)
"""Both: to say what a backend is is to state a fact, as to declare it is."""
AUDITS = (Role.AUDIT,)
WATCHES = (Role.AUDIT, Role.OPERATE)
ADMINISTERS = (Role.ADMIN,)
ANY = tuple(Role)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who a token stands for."""

    token_id: str
    tenant: str
    roles: frozenset[str]
    mode: modes.Mode = modes.Mode.ONE_PERSON

    def has(self, role: Role) -> bool:
        """Say whether this one holds a role, by itself or as administrator.

        With separate roles the administrator holds none of those that exclude each other, and a token of a time
        when one person was everybody, with several of them, holds none of these either.
        """
        if role.value in _EXCLUSIVE and self.mode is modes.Mode.SEPARATE_ROLES:
            return self.roles & _EXCLUSIVE == {role.value}
        return role.value in self.roles or Role.ADMIN.value in self.roles

    @property
    def withheld(self) -> tuple[str, ...]:
        """Return the roles that the token names, or an administrator has elsewhere, and that do not count here."""
        named = _EXCLUSIVE if self.is_admin else self.roles & _EXCLUSIVE
        return tuple(role.value for role in EXCLUSIVE if role.value in named and not self.has(role))

    @property
    def is_admin(self) -> bool:
        """Say whether this one is the installation's administrator."""
        return Role.ADMIN.value in self.roles


SYSTEM = Principal("system", "default", frozenset({Role.ADMIN.value}))
"""The server itself, when it applies documents at start."""


def require(who: Principal, any_of: tuple[Role, ...]) -> None:
    """Refuse who holds none of the roles. Raises ServiceError ``auth.role``."""
    for role in any_of:
        if who.has(role):
            return
    raise _refused(who, [role.value for role in any_of], "one")


def require_all(who: Principal, all_of: tuple[Role, ...]) -> None:
    """Refuse who lacks one of the roles. Raises ServiceError ``auth.role``."""
    if not all(who.has(role) for role in all_of):
        raise _refused(who, [role.value for role in all_of], "all")


def own_job(who: Principal, job: jobs.Job | None, name: str) -> jobs.Job:
    """Return the job if it is this tenant's; raises ``job.not-found`` as if it did not exist."""
    if job is None or job.tenant != who.tenant:
        raise problems.not_found(f"job {shown(name)}", "job.not-found")
    return job


def shown(text: str, *, length: int = 64) -> str:
    """Return what somebody sent so that it can be repeated in an answer."""
    return ascii(text if len(text) <= length else text[:length] + "...")


def exclusive(roles: Iterable[str]) -> tuple[str, ...]:
    """Return those of ``roles`` that exclude each other; () where there are not two."""
    found = tuple(sorted(_EXCLUSIVE & set(roles)))
    return found if len(found) > 1 else ()


def _refused(who: Principal, words: list[str], how_many: str) -> problems.ServiceError:
    text = f"this needs {how_many} of the roles: {', '.join(words)}"
    if set(who.withheld) & set(words):
        text += (
            f"; this token does not hold {', '.join(who.withheld)} here, because roles are separate on this server: "
            "use a token that has only one of facts, policy and submit"
        )
    return problems.ServiceError(problems.Kind.FORBIDDEN, "auth.role", text)
