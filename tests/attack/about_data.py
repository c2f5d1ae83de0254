"""Lies of a tenant about its data. Each uses a tenant or data of its own, so that sums do not meet."""

from __future__ import annotations

from typing import Any

from tests.attack import lies, stage

WHO = lies.Attacker.TENANT
COVERED = {"controller": {"operator": "lab", "country": "US"}, "subjects": ["US"]}


@lies.caught(WHO, "`data: none` without the right to say so", by="the tenant's `mayDeclareNoData`")
def none_without_right(found: stage.Stage) -> lies.Seen:
    """Say none as a role that may not."""
    found.must("Tenant", "ward", {"hq": "FR", "mayDeclareNoData": ["steward"]})
    asked = stage.servers.job("sly")
    return found.call("POST", "/v1/jobs", asked, token=found.token("submit", tenant="ward")).refused(
        "data.none-not-allowed"
    )


@lies.missed(
    WHO,
    "`data: none` by somebody who may say it, for a job that reads patients' records",
    why="nobody looks into what a job reads; the journal names who said none",
    would="reading data only through Comity",
)
def none_with_right(found: stage.Stage) -> lies.Seen:
    """Say none with the right to."""
    name = found.backend(found.new("abroad"), "SG")
    return found.judged(name, sovereignty=_only("SG")).went()


@lies.caught(WHO, "says nothing about data at all", by="the tenant's `defaultData` is judged")
def silent(found: stage.Stage) -> lies.Seen:
    """Leave the clause out."""
    found.must("Tenant", "mute", {"hq": "FR", "defaultData": {"classes": ["health"], "subjects": ["FR"]}})
    name = found.backend(found.new("abroad"), "SG")
    return found.judged(name, found.token("submit", "audit", tenant="mute"), data=None, sovereignty=_only("SG")).denied(
        "eu-gdpr."
    )


@lies.caught(
    WHO, "reads another tenant's data set by its name", by="names are a tenant's own: 422 as for an unknown one"
)
def of_another(found: stage.Stage) -> lies.Seen:
    """Name what another tenant registered."""
    name = found.data(found.new("theirs"), "open", tenant="others")
    asked = stage.servers.job("spy", data={"reads": [{"name": name}]})
    return found.call("POST", "/v1/jobs", asked, token=found.token("submit", tenant="spies")).refused("data.unknown")


@lies.caught(
    WHO, "splits a data set in two, each half below the threshold", by="the ledger adds up over data of one controller"
)
def split(found: stage.Stage) -> lies.Seen:
    """Read the halves one after the other."""
    name = _covered(found, "DE")
    halves = [found.data(found.new("half"), "genomic", counts={"persons": 60}, **COVERED) for _ in range(2)]
    first, second = (found.judged(name, data=_reads(half), sovereignty=_only("DE")) for half in halves)
    assert first.placed == name, first
    return second.denied("us-doj.prohibited-omic")


@lies.missed(
    WHO,
    "splits it in two and names another controller for the second half",
    why="sums are kept for each controller, and a controller is whom the data set names",
    would="an identifier of the controller (LEI) that is held against a register",
)
def controller(found: stage.Stage) -> lies.Seen:
    """Give the second half to a controller of another name."""
    name = _covered(found, "BE")
    data = []
    for who in ("north-lab", "north-lab-two"):
        own = COVERED | {"controller": {"operator": who, "country": "US"}}
        data.append(found.data(found.new("half"), "genomic", counts={"persons": 60}, **own))
    seen = [found.judged(name, data=_reads(one), sovereignty=_only("BE")) for one in data]
    return lies.Seen(not all(one.placed for one in seen), "both placed" if seen[1].placed else seen[1].went().text)


@lies.missed(
    WHO,
    "declares 60 persons where there are 60,000",
    why="counts are declared; nobody counts",
    would="counts taken from the data by a certified tool",
)
def fewer(found: stage.Stage) -> lies.Seen:
    """State a smaller number."""
    name = _covered(found, "NL")
    own = COVERED | {"controller": {"operator": "modest-lab", "country": "US"}}
    data = found.data(found.new("modest"), "genomic", counts={"persons": 60}, **own)
    return _anonymous(found.judged(name, data=_reads(data), sovereignty=_only("NL")), name)


@lies.caught(
    WHO,
    "washes health data: a job writes it out as a new data set, declared open",
    by="lineage: what a job writes inherits classes, subjects and rules",
)
def washed(found: stage.Stage) -> lies.Seen:
    """Declare the output harmless, let a job write it, and take it abroad."""
    clean = written(found)
    return _abroad(found, clean).denied("eu-gdpr.")


@lies.caught(
    WHO,
    "withdraws the washed data set and declares it anew",
    by="lineage outlives the declaration; only a named steward declassifies",
)
def washed_twice(found: stage.Stage) -> lies.Seen:
    """Declare it again after withdrawing it."""
    clean = written(found)
    found.remove("datasets", clean)
    found.must("DataSet", clean, _open())
    return _abroad(found, clean).denied("eu-gdpr.")


@lies.caught(WHO, "drops `derivedFrom` from its own declaration", by="what a declaration drops is inherited on")
def underived(found: stage.Stage) -> lies.Seen:
    """Declare an extract, then declare it without its source."""
    source, extract = found.data(found.new("records"), "health"), found.new("extract")
    found.must("DataSet", extract, _open() | {"derivedFrom": [source]})
    found.must("DataSet", extract, _open())
    return _abroad(found, extract).denied("eu-gdpr.")


@lies.caught(WHO, "declassifies without being a steward", by="role `steward`, a named person and a reason")
def declassified(found: stage.Stage) -> lies.Seen:
    """Take the lineage off as somebody who submits."""
    clean = written(found)
    said = {"from": found.call("GET", f"/v1/datasets/{clean}").body["status"]["inherits"][0]["from"]}
    body = said | {"by": "me", "reason": "trust me"}
    return found.call("POST", f"/v1/datasets/{clean}:declassify", body, token=found.token("submit", "facts")).refused(
        "auth.role"
    )


@lies.missed(
    WHO,
    "registers the same files again under another name, as open data",
    why="a data set is what a person declares it to be; content is not looked at",
    would="digests of content, followed instead of names",
)
def renamed(found: stage.Stage) -> lies.Seen:
    """Declare the same address a second time."""
    where = {"location": {"country": "FR", "uri": "s3://clinic/records"}}
    found.data(found.new("records"), "health", **where)
    again = found.must("DataSet", found.new("holiday-photos"), _open() | where)
    judged = _abroad(found, again)
    return _anonymous(judged, judged.placed)


@lies.missed(
    WHO,
    "says that the patients are Singaporeans",
    why="subjects are declared",
    would="the tenant's `defaultData` as a floor below every data set, and review of registrations",
)
def subjects(found: stage.Stage) -> lies.Seen:
    """State other subjects and another controller."""
    own: dict[str, Any] = {"subjects": ["SG"], "controller": {"operator": "clinic", "country": "SG"}}
    judged = _abroad(found, found.data(found.new("patients"), "health", **own))
    return _anonymous(judged, judged.placed)


@lies.caught(WHO, "asks for less than its tenant's floor", by="the floor can only be tightened")
def below_floor(found: stage.Stage) -> lies.Seen:
    """Allow what the floor does not."""
    found.must("Tenant", "careful", {"hq": "FR", "floor": {"countries": {"allow": ["FR"]}}})
    name = found.backend(found.new("abroad"), "SG")
    token = found.token("submit", "audit", tenant="careful")
    judged = found.judged(name, token, sovereignty={"countries": {"allow": ["SG", "FR"]}})
    if judged.placed == "paris":
        return lies.Seen(True, "placed in France, although Singapore was allowed")
    return judged.denied("core.")


def _only(land: str) -> dict[str, dict[str, list[str]]]:
    return {"countries": {"allow": [land]}}


def _reads(name: str) -> dict[str, Any]:
    return {"reads": [{"name": name}]}


def _open() -> dict[str, Any]:
    own = {"controller": {"operator": "clinic", "country": "FR"}, "location": {"country": "FR"}}
    return {"classes": ["open"], "facts": stage.FACTS, **own}


def _covered(found: stage.Stage, land: str) -> str:
    """Declare a backend of a covered person: 100 US persons' genomes may not come within its reach in a year."""
    operator = found.operator(found.new("covered"), land, coveredPerson=True)
    return found.backend(found.new("covered"), land, operator)


def written(found: stage.Stage) -> str:
    """Let a job read health data at home and write a data set that is declared open; return its name."""
    source, clean = found.data(found.new("records"), "health"), found.must("DataSet", found.new("clean"), _open())
    home = found.backend(found.new("home"), "FR", **stage.hosting())
    job = found.judged(home, data={"reads": [{"name": source}], "writes": [clean]})
    assert job.placed, job
    found.ended(job.job)
    return clean


def _abroad(found: stage.Stage, data: str) -> stage.Judged:
    """Ask for Singapore with this data."""
    name = found.backend(found.new("abroad"), "SG")
    return found.judged(name, data=_reads(data), sovereignty=_only("SG"))


def _anonymous(judged: stage.Judged, name: str) -> lies.Seen:
    seen = judged.went()
    return lies.Seen(seen.caught, "placed" if judged.placed == name and name else seen.text)
