"""Who asks, and what that one may: the only place that compares roles and tenants.

The tenant comes from the token, never from a body. What belongs to another tenant is answered as if it did not exist.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from orchestrator.domain import jobs
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

SUBMITS = (Role.SUBMIT,)
CANCELS = (Role.SUBMIT, Role.OPERATE)
READS_JOBS = (Role.SUBMIT, Role.OPERATE, Role.AUDIT, Role.STEWARD)
READS_LOGS = (Role.SUBMIT, Role.OPERATE)
PLANS = (Role.SUBMIT, Role.OPERATE, Role.AUDIT, Role.POLICY, Role.STEWARD)
OPERATES = (Role.OPERATE,)
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

    def has(self, role: Role) -> bool:
        """Say whether this one holds a role, by itself or as administrator."""
        return role.value in self.roles or Role.ADMIN.value in self.roles

    @property
    def is_admin(self) -> bool:
        """Say whether this one is the installation's administrator."""
        return Role.ADMIN.value in self.roles


SYSTEM = Principal("system", "default", frozenset({Role.ADMIN.value}))
"""The server itself, when it applies documents at start."""


def require(who: Principal, any_of: tuple[Role, ...]) -> None:
    """Refuse who holds none of the roles. Raises ServiceError ``auth.role``."""
    if not any(who.has(role) for role in any_of):
        raise _refused([role.value for role in any_of], "one")


def require_all(who: Principal, all_of: tuple[Role, ...]) -> None:
    """Refuse who lacks one of the roles. Raises ServiceError ``auth.role``."""
    if not all(who.has(role) for role in all_of):
        raise _refused([role.value for role in all_of], "all")


def own_job(who: Principal, job: jobs.Job | None, name: str) -> jobs.Job:
    """Return the job if it is this tenant's; raises ``job.not-found`` as if it did not exist."""
    if job is None or job.tenant != who.tenant:
        raise problems.not_found(f"job {shown(name)}", "job.not-found")
    return job


def shown(text: str, *, length: int = 64) -> str:
    """Return what somebody sent so that it can be repeated in an answer."""
    return ascii(text if len(text) <= length else text[:length] + "...")


def _refused(words: list[str], how_many: str) -> problems.ServiceError:
    return problems.ServiceError(
        problems.Kind.FORBIDDEN, "auth.role", f"this needs {how_many} of the roles: {', '.join(words)}"
    )
