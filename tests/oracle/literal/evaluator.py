"""The literal evaluator: every rule of the policy table, one after the other, on one compact case.

It shares no line, table or type with the product, and is slow on purpose: it exists to disagree. Preview packs are
off; the control plane is not part of a compact case; the ledger is empty.
"""

from __future__ import annotations

import datetime as dt

from tests.oracle.literal import assurances, exports, facts, parties, transfers
from tests.oracle.literal.facts import Case, Finding

RULES = (*parties.RULES, *exports.RULES, *transfers.RULES, *assurances.RULES)

ALLOW = "ALLOW"
OBLIGED = "ALLOW_WITH_OBLIGATIONS"
DENIED = "DENY"

Answer = tuple[str, tuple[str, ...]]


def findings(job: Case, backend: Case, at: dt.date) -> list[Finding]:
    """Return everything that any rule says, waivers included."""
    return [finding for rule in RULES for finding in rule(job, backend, at)]


def judge(job: Case, backend: Case, at: dt.date | str) -> Answer:
    """Return the decision and its rules: the denials if there is one, else the duties."""
    return amount(findings(job, backend, facts.day(at)))


def amount(found: list[Finding]) -> Answer:
    """Return the decision that findings amount to."""
    denials = {code for effect, code in found if effect == facts.DENY}
    duties = {code for effect, code in found if effect == facts.OBLIGE}
    if denials:
        return DENIED, tuple(sorted(denials))
    if duties:
        return OBLIGED, tuple(sorted(duties))
    return ALLOW, ()
