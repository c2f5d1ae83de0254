"""Lies of a backend about itself."""

from __future__ import annotations

from tests.attack import lies, stage, tokens
from tests.e2e._planes import wait_until

WHO = lies.Attacker.BACKEND
FREE = {"countries": {"allow": ["NO"]}}


@lies.missed(
    WHO,
    "stands in the United States and declares Norway; the job demands Norway, and no proof",
    why="a declared fact is whatever was declared; the answer cites it with source, date and 'declared'",
    would="`minAssurance: certified` on the job or as the tenant's floor",
)
def country(found: stage.Stage) -> lies.Seen:
    """Place a job by a declared country."""
    return found.judged(found.backend(found.new("oslo"), "NO"), sovereignty=FREE).went()


@lies.caught(
    WHO,
    "declares Finland, and its nodes say that they stand in Russia",
    by="identity.elsewhere: what is seen is compared; the attempt is stopped, the site closed until a person looked",
)
def node_elsewhere(found: stage.Stage) -> lies.Seen:
    """Run a job on a node that says another country than the document."""
    name, where = found.new("espoo"), {"sovereignty": {"countries": {"allow": ["FI"]}}}
    found.backend(name, "FI", settings={"runTime": "60s", "whereabouts": {"country": "RU"}})
    first = found.judged(name, **where)
    assert first.placed == name, first

    def told() -> bool:
        status = found.call("GET", f"/v1/jobs/{first.job}").body["status"]
        return any(one["reason"] == "identity.elsewhere" and one["status"] for one in status["conditions"])

    wait_until(told, seconds=180)
    return found.judged(name, **where).denied("identity.elsewhere")


@lies.caught(WHO, "declares Norway; the job demands certified facts", by="core.assurance (minAssurance)")
def country_to_be_certified(found: stage.Stage) -> lies.Seen:
    """Ask for more than a declaration."""
    name = found.backend(found.new("bergen"), "NO")
    return found.judged(name, sovereignty=FREE | {"minAssurance": "certified"}).denied("core.assurance:backend.facts")


@lies.caught(WHO, "writes `assurance: certified` itself, without a claim", by="core.assurance: only a claim certifies")
def assurance_of_its_own(found: stage.Stage) -> lies.Seen:
    """Say certified, and bring nobody who certifies it."""
    facts = stage.FACTS | {"assurance": "certified"}
    name = found.backend(found.new("bodo"), "NO", facts=facts)
    return found.judged(name, sovereignty=FREE | {"minAssurance": "certified"}).denied("core.assurance:backend.facts")


@lies.caught(WHO, "brings a claim about its country that a stranger signed", by="claim.untrusted-issuer (trust list)")
def claim_of_a_stranger(found: stage.Stage) -> lies.Seen:
    """Bring a claim of somebody whom the trust list does not name."""
    name = found.new("se")
    claim = tokens.Issuer("did:web:stranger.example", "k1").location(name, "SE", id="c-1")
    return _claims(found, name, claim).denied("claim.untrusted-issuer")


@lies.caught(WHO, "brings a claim under a trusted certifier's name, signed with its own key", by="claim.bad-signature")
def claim_forged(found: stage.Stage) -> lies.Seen:
    """Sign as the certifier, with another key."""
    name = found.new("se")
    return _claims(found, name, tokens.Issuer(stage.ISSUER, "k1").location(name, "SE", id="c-2")).denied(
        "claim.bad-signature"
    )


@lies.caught(WHO, "brings a trusted claim that ended", by="claim.expired")
def claim_expired(found: stage.Stage) -> lies.Seen:
    """Bring the certificate of the year before."""
    name = found.new("se")
    honest = _claims(found, name, found.issuer.location(name, "SE", id="c-0"))
    assert honest.placed == name, honest
    found.ended(honest.job)
    return _claims(found, name, found.issuer.location(name, "SE", id="c-3", days=-2)).denied("claim.expired")


@lies.caught(WHO, "brings another backend's claim as its own", by="claim.subject-mismatch")
def claim_of_another(found: stage.Stage) -> lies.Seen:
    """Bring a sound claim that speaks of somebody else."""
    claim = found.issuer.location("somebody-else", "SE", id="c-4")
    return _claims(found, found.new("se"), claim).denied("claim.subject-mismatch")


@lies.caught(WHO, "declares Sweden and brings a claim that says Russia", by="claim.contradiction, both sources shown")
def claim_of_another_country(found: stage.Stage) -> lies.Seen:
    """Bring a claim that says another country than the document."""
    name = found.new("se")
    return _claims(found, name, found.issuer.location(name, "RU", id="c-5")).denied("claim.contradiction")


@lies.caught(
    WHO, "shows the attestation result of another backend once more", by="claim.replayed-nonce, claim.subject-mismatch"
)
def attestation_replayed(found: stage.Stage) -> lies.Seen:
    """Show one token at two backends; the first showed it in good faith."""
    first, second = found.new("enclave"), found.new("enclave")
    token = found.issuer.attestation(first, found.head()["origin"], id="a-1")
    shown = {"attestation": {"token": token, "verifier": stage.ISSUER}}
    found.backend(first, "FI", **shown)
    asked = {"sovereignty": {"countries": {"allow": ["FI"]}, "tee": ["tdx"]}}
    honest = found.judged(first, **asked)
    assert honest.placed == first, honest
    found.remove("backends", first, honest.job)
    found.backend(second, "FI", **shown)
    return found.judged(second, **asked).denied("claim.")


@lies.missed(
    WHO,
    "declares a certificate for health data that nobody issued",
    why="a certificate that is only declared counts as declared",
    would="`minAssurance: certified`, and a claim of the certifier",
)
def certificate(found: stage.Stage) -> lies.Seen:
    """Place French patients' data at a host that says it is certified."""
    name = found.backend(found.new("lyon"), "FR", **stage.hosting())
    data = found.data(found.new("patients"), "health")
    placed = found.judged(name, data={"reads": [{"name": data}]})
    return lies.Seen(placed.placed != name, placed.went().text.replace(name, "it"))


@lies.caught(
    WHO,
    "one machine registers twice, as a Danish and as an Indian backend, and is recognised",
    by="one identity under two backends with other facts refuses both",
)
def two_names(found: stage.Stage) -> lies.Seen:
    """Register a machine twice, through an adapter that recognises it."""
    for name, land in (("dane", "DK"), ("indian", "IN")):
        found.backend(name, land, settings={"runTime": "10ms", "identity": "one-machine"})
    return found.judged("indian", sovereignty={"countries": {"allow": ["IN"]}}).denied("identity.shared")


@lies.missed(
    WHO,
    "the same through an adapter that cannot tell: two `local` backends, each with a folder of its own",
    why="a `local` backend is recognised by machine and folder together, and these have two folders",
    would="an attestation of the machine itself",
)
def two_folders(found: stage.Stage) -> lies.Seen:
    """Register this host twice."""
    for name, land in _TWICE:
        found.backend(name, land, adapter="local", settings={}, pools=[{"name": "p"}])
    seen = [found.judged(name, sovereignty={"countries": {"allow": [land]}}) for name, land in _TWICE]
    return lies.Seen(not all(one.placed for one in seen), " and ".join(one.went().text for one in seen))


_TWICE = (("here-dk", "DK"), ("here-in", "IN"))


@lies.caught(
    WHO,
    "another machine takes over a backend's name, behind the same document",
    by="IdentityChanged: its identity was pinned at the first contact; nothing starts until a person confirms",
)
def another_machine(found: stage.Stage) -> lies.Seen:
    """Let another machine answer under a name at which a job ran."""
    name, where = found.new("vienna"), {"sovereignty": {"countries": {"allow": ["AT"]}}}
    found.backend(name, "AT", settings={"runTime": "10ms", "identity": "first"})
    first = found.judged(name, **where)
    assert first.placed == name
    found.ended(first.job)
    found.backend(name, "AT", settings={"runTime": "10ms", "identity": "second"})
    # Whatever is placed before the two have spoken is not started: the launch compares.
    hasty = found.judged(name, **where)
    wait_until(lambda: _changed(found, name), seconds=180)
    late = found.judged(name, **where)
    ran = found.call("GET", f"/v1/jobs/{hasty.job}").body["status"]["phase"] in ("RUNNING", "SUCCEEDED")
    return lies.Seen(late.denied("identity.changed").caught and not ran, late.went().text)


def _changed(found: stage.Stage, name: str) -> bool:
    told = found.call("GET", f"/v1/backends/{name}").body["status"]["conditions"]
    return any(one["type"] == "IdentityChanged" and one["status"] for one in told)


@lies.caught(
    WHO,
    "an operator on a sanctions list declares itself under its listed name",
    by="sanctions.review: refused until a named person answers",
)
def listed_name(found: stage.Stage) -> lies.Seen:
    """Register the listed name."""
    operator = found.operator("nordkap-compute-holding", "FR")
    return found.judged(found.backend(found.new("n"), "PT", operator), sovereignty=_only("PT")).denied("sanctions.")


@lies.missed(
    WHO,
    "the same operator declares an invented name, and no LEI",
    why="without an identifier screening is as good as the name that was typed",
    would="a certified `operator` claim with its LEI; `minAssurance`",
)
def listed_hidden(found: stage.Stage) -> lies.Seen:
    """Register another name."""
    operator = found.operator(found.new("sunny-meadow"), "FR")
    return found.judged(found.backend("meadow", "IE", operator), sovereignty=_only("IE")).went()


@lies.caught(
    WHO, "is owned to 60 % by a listed party, which it names", by="sanctions: owners are screened too (50 % rule)"
)
def listed_owner(found: stage.Stage) -> lies.Seen:
    """Name the owner as its operator's document asks for."""
    owners = {"coverage": 100, "list": [{"name": "Nordkap Compute Holding JSC", "country": "RU", "percent": 60}]}
    operator = found.operator(found.new("clean-face"), "FR", owners=owners)
    return found.judged(found.backend(found.new("c"), "ES", operator), sovereignty=_only("ES")).denied("sanctions.")


@lies.missed(
    WHO,
    "leaves the listed owner out and states that all owners are known",
    why="nothing checks a declared list of owners",
    would="a certified `operator` claim over `owners.list`",
)
def owners_left_out(found: stage.Stage) -> lies.Seen:
    """State a coverage of 100 % with another owner."""
    owners = {"coverage": 100, "list": [{"name": "Aunt Emma", "country": "FR", "percent": 100}]}
    operator = found.operator(found.new("clean-face"), "FR", owners=owners)
    return found.judged(found.backend("emma", "LU", operator), sovereignty=_only("LU")).went()


@lies.caught(WHO, "leaves out its parent company's seat", by="core.missing: what a rule needs and nobody states denies")
def parent_left_out(found: stage.Stage) -> lies.Seen:
    """Say nothing of the parent where the job refuses American reach."""
    spec = {"legalCountry": "FR", "owners": {"coverage": 100}, "facts": stage.FACTS}
    operator = found.must("Operator", found.new("silent"), spec)
    name = found.backend(found.new("quiet"), "EE", operator)
    return found.judged(name, sovereignty=_only("EE") | {"exposure": {"deny": ["US"]}}).denied("core.missing")


@lies.caught(WHO, "lives on facts that ended yesterday", by="core.stale-facts: dated facts end")
def stale(found: stage.Stage) -> lies.Seen:
    """Let the facts end."""
    facts = stage.FACTS | {"validTo": stage.day(-1)}
    return found.judged(found.backend(found.new("riga"), "LV", facts=facts), sovereignty=_only("LV")).denied("core.")


def _only(land: str) -> dict[str, dict[str, list[str]]]:
    return {"countries": {"allow": [land]}}


def _claims(found: stage.Stage, name: str, claim: str) -> stage.Judged:
    """Let a backend in Sweden carry a claim, and ask for it."""
    found.backend(name, "SE", facts=stage.FACTS | {"source": claim})
    return found.judged(name, sovereignty=_only("SE"))
