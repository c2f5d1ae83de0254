"""Lies of a policy author: rules that fail, burst, loosen, or do not do what they say."""

from __future__ import annotations

from typing import Any

from tests.attack import lies, stage

WHO = lies.Attacker.POLICY
RULE = '@id("r")\n@reason("a house rule")\nforbid(principal, action, resource)'


@lies.caught(
    WHO, "a rule that fails when it is evaluated (Cedar alone would allow)", by="an error is a denial: cedar.error"
)
def erring(found: stage.Stage) -> lies.Seen:
    """Overflow a number for one country only."""
    overflow = 'resource.country == "IT" && 9223372036854775807 + context.weekday > 0'
    text = f"{RULE} when {{ resource has country && {overflow} }};"
    policy = found.must("Policy", found.new("erring"), cedar(text))
    try:
        return found.judged(found.backend(found.new("rome"), "IT"), sovereignty=_only("IT")).denied("cedar.error")
    finally:
        found.remove("policies", policy)


@lies.caught(WHO, "a text of a mebibyte", by="bounds of a policy")
def huge(found: stage.Stage) -> lies.Seen:
    """Fill the text with a comment."""
    return _refused(found, f"// {'x' * 2**20}\n{RULE};")


@lies.caught(WHO, "128 brackets inside each other", by="bounds of a policy")
def deep(found: stage.Stage) -> lies.Seen:
    """Nest."""
    return _refused(found, f"{RULE} when {{ {'(' * 128}true{')' * 128} }};")


@lies.caught(WHO, "a thousand rules", by="bounds of a policy")
def many(found: stage.Stage) -> lies.Seen:
    """Repeat."""
    return _refused(
        found, "".join(f'@id("r{number}")\nforbid(principal, action, resource);\n' for number in range(1000))
    )


@lies.caught(WHO, "a `permit` of everything, to loosen the packs", by="the check: rules of one's own only tighten")
def permitting(found: stage.Stage) -> lies.Seen:
    """Permit."""
    return _refused(found, '@id("all")\npermit(principal, action, resource);')


@lies.caught(WHO, "a rule that asks for an attribute that no site has", by="the check against the schema")
def misspelt(found: stage.Stage) -> lies.Seen:
    """Misspell."""
    return _refused(found, f'{RULE} when {{ resource.cuntry == "FR" }};')


@lies.caught(WHO, "claims to forbid Italy, with a test that says so, and forbids nothing", by="its own tests are run")
def contradicted_by_tests(found: stage.Stage) -> lies.Seen:
    """Bring a test that the rule does not pass."""
    spec = cedar(f'{RULE} when {{ resource has country && resource.country == "XX" }};')
    test = {"id": "italy", "at": "2026-12-01", "job": {}, "backend": {"country": "IT"}, "decision": "DENY"}
    spec["tests"] = [test | {"rules": ["cedar.claims.r"]}]
    return found.put("Policy", "claims", spec).refused("policy.test-failed")


@lies.missed(
    WHO,
    "claims to forbid Italy, brings no tests, and forbids nothing",
    why="nobody knows what was meant",
    would="`comity serve --policy-tests-required`, `comity policy diff` before it is merged",
)
def untested(found: stage.Stage) -> lies.Seen:
    """Bring a rule that never matches."""
    spec = cedar(f'{RULE} when {{ resource has country && resource.country == "XX" }};')
    answer = found.put("Policy", found.new("untested"), spec)
    return lies.Seen(answer.status >= 400, "taken" if answer.status < 400 else answer.refused("").text)


@lies.caught(WHO, "the same at a server in strict mode", by="--policy-tests-required")
def untested_strict(found: stage.Stage) -> lies.Seen:
    """Bring it to a server that takes no policy without tests."""
    spec = cedar(f'{RULE} when {{ resource has country && resource.country == "XX" }};')
    return found.strict.put("Policy", "untested", spec).refused("policy.tests-missing")


@lies.missed(
    WHO,
    "a test that agrees with a rule that is wrong",
    why="author and tester are one person",
    would="review by another; `comity policy diff --cases` with cases of the house",
)
def own_test(found: stage.Stage) -> lies.Seen:
    """Test that Italy is allowed, and call it a rule against Italy."""
    spec = cedar(f'{RULE} when {{ resource has country && resource.country == "XX" }};')
    spec["tests"] = [
        {"id": "t", "at": "2026-12-01", "job": {}, "backend": {"country": "IT"}, "decision": "ALLOW", "rules": []}
    ]
    answer = found.strict.put("Policy", "against-italy", spec)
    return lies.Seen(answer.status >= 400, "taken, in strict mode too" if answer.status < 400 else str(answer.codes))


@lies.caught(
    WHO,
    "back-dates a rule, to say that an old placement broke it",
    by="a decision is judged again with the rules of its own time; the journal has the day of the policy",
)
def backdated(found: stage.Stage) -> lies.Seen:
    """Place, then forbid it from a year ago on, and prove the placement."""
    name = found.backend(found.new("prague"), "CZ")
    placed = found.judged(name, sovereignty=_only("CZ"))
    assert placed.placed == name, placed
    found.ended(placed.job)
    spec = cedar(f'{RULE} when {{ resource has country && resource.country == "CZ" }};') | {
        "effective": {"from": stage.day(-365)}
    }
    policy = found.must("Policy", found.new("backdated"), spec)
    try:
        after = found.judged(name, sovereignty=_only("CZ"))
        assert any(code.startswith("cedar.") for code in after.denials), after
        report = found.verified(found.bundle(placed.job).body)
        words = f"re-execution of the old placement: {report.rejudged.word.value}; new ones refused"
        return lies.Seen(report.verified and report.rejudged.word.value == "same", words)
    finally:
        found.remove("policies", policy)


@lies.missed(
    WHO,
    "a rule whose window is over already",
    why="it is taken, and says nothing; `get policies` shows what each does today",
    would="a reader of `comity get policies`, or tests with today's date",
)
def over(found: stage.Stage) -> lies.Seen:
    """Apply a rule that ended yesterday."""
    spec = cedar(f'{RULE} when {{ resource has country && resource.country == "HU" }};')
    spec["effective"] = {"from": stage.day(-9), "to": stage.day(-1)}
    found.must("Policy", found.new("over"), spec)
    name = found.backend("budapest", "HU")
    return found.judged(name, sovereignty=_only("HU")).went()


@lies.missed(
    WHO,
    "a directive without an end",
    why="it only refuses; it holds until somebody deletes it, and every refusal cites it",
    would="a last day that directives must state",
)
def endless(found: stage.Stage) -> lies.Seen:
    """Forbid a model for ever."""
    spec = {"engine": "directive", "directive": {"models": [found.new("model")], "source": "a letter"}}
    answer = found.put("Policy", found.new("endless"), spec)
    return lies.Seen(answer.status >= 400, "taken" if answer.status < 400 else answer.refused("").text)


@lies.caught(WHO, "withdraws a rule of the house without role `policy`", by="roles; with it the journal names who")
def withdrawn(found: stage.Stage) -> lies.Seen:
    """Delete as somebody else."""
    policy = found.must("Policy", found.new("kept"), cedar(f"{RULE} when {{ resource has country && false }};"))
    return found.call("DELETE", f"/v1/policies/{policy}", token=found.token("submit", "facts")).refused("auth.role")


def cedar(text: str) -> dict[str, Any]:
    """Return the spec of a policy."""
    return {"engine": "cedar", "text": text}


def _refused(found: stage.Stage, text: str) -> lies.Seen:
    answer = found.put("Policy", "poison", cedar(text))
    seen = answer.refused("policy.invalid", "document.invalid")
    return lies.Seen(answer.status in (413, 422), seen.text)


def _only(land: str) -> dict[str, dict[str, list[str]]]:
    return {"countries": {"allow": [land]}}
