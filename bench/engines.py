"""Peers of B2: general policy engines asked what ours is asked, in the same run, one after the other.

Twelve rules of the kinds that packs have, one job, 1,000 sites: which rules refuse which site. Each engine gets its
rules parsed once and its sites in its own form beforehand; what is timed is asking. All must give the same answers, or
the figure is not made.
"""

from __future__ import annotations

import importlib
import json
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from bench import figures, fleets
from orchestrator.policy import attributes, evaluator, rulebook, table
from orchestrator.policy.cedar import engine
from orchestrator.sources import countries, packs, yamls

RULES = 12
PACKAGES = {"cel": "cel-expr-python==0.1.3", "cel-rust": "common-expression-language==0.10.0", "rego": "regopy==1.5.2"}

Answer = list[set[int]]
"""For each site the rules that refuse it."""


def rows() -> list[tuple[int, list[str]]]:
    """Return the rules as data: kind, countries."""
    return [(number % 4, [fleets.PLACES[number % len(fleets.PLACES)], "KP"]) for number in range(RULES)]


def facts(site: attributes.SiteAttributes) -> dict[str, Any]:
    """Return what the rules read of a site, as plain data."""
    return {
        "country": site.country or "",
        "parent_hq": site.parent_hq or "",
        "legal_country": site.legal_country or "",
        "locations": sorted({place.code for place in site.places}),
        "certs": sorted(paper.kind for paper in site.certs if paper.valid(fleets.AT.date())),
    }


def ours(job: attributes.JobAttributes, sites: Sequence[attributes.SiteAttributes]) -> Callable[[], Answer]:
    """Return the question to our engine: tables of the sites are made beforehand, and each is asked once."""
    book = _book()
    tables = [table.SiteTable(sites) for _ in range(figures.REPEATS + 2)]

    def ask() -> Answer:
        judgement = evaluator.judge(job, tables.pop(), book, fleets.AT)
        return [
            {int(rule.id.removeprefix("fill.r")) for rule in judgement.fired(row) if rule.pack == "fill"}
            for row in range(len(sites))
        ]

    return ask


def _book() -> rulebook.RuleBook:
    kinds: Sequence[Callable[[int, list[str]], dict[str, Any]]] = (
        lambda _, here: {
            "when": [{"in": ["site.country", here]}, {"any_in": ["data.classes", ["health"]]}],
            "for_each": ["data"],
        },
        lambda number, here: {
            "when": [{"in": ["site.parent_hq", here]}],
            "unless": [{"holds": ["site.certs", f"scheme-{number}"]}],
        },
        lambda _, here: {"when": [{"in": ["location", here]}], "for_each": ["location"]},
        lambda _, here: {"when": [{"in": ["site.legal_country", here]}, {"is": ["job.workload", "train"]}]},
    )
    base = {"effect": "deny", "basis": "house", "message": "made up", "source": "bench"}
    made = [{"id": f"fill.r{n}", **base, **kinds[kind](n, here)} for n, (kind, here) in enumerate(rows())]
    fill = {"pack": "fill", "version": "1", "title": "made-up rules", "rules": made}
    own = [rulebook.RawPack(name, _yaml(name, "rules"), _yaml(name, "facts")) for name in ("core",)]
    book = rulebook.build([*own, rulebook.RawPack("fill", fill)], countries=countries.names())
    assert not dict(book.failed).get("fill"), book.failed
    return book


def _yaml(pack: str, part: str) -> Any:
    path = packs.BUILT_IN / pack / f"{part}.yaml"
    return yamls.read(path).data if path.exists() else None


def cedar(job: attributes.JobAttributes, sites: Sequence[attributes.SiteAttributes]) -> Callable[[], Answer]:
    """Return the question to cedarpy: policies and entities parsed beforehand, all sites in one batch."""
    tests = (
        lambda _, here: f'{here}.contains(resource.country) && principal.classes.contains("health")',
        lambda n, here: f'{here}.contains(resource.parent_hq) && !resource.certs.contains("scheme-{n}")',
        lambda _, here: f"resource.locations.containsAny({here})",
        lambda _, here: f'{here}.contains(resource.legal_country) && principal.workload == "train"',
    )
    texts = [
        f"forbid(principal, action, resource) when {{ {tests[kind](n, json.dumps(here))} }};"
        for n, (kind, here) in enumerate(rows())
    ]
    prepared = engine.policies(texts)
    asked = {"workload": job.workload or "", "classes": _classes(job)}
    entities = [{"uid": {"type": "Job", "id": "j"}, "attrs": asked, "parents": []}]
    entities += [
        {"uid": {"type": "Site", "id": str(n)}, "attrs": facts(one), "parents": []} for n, one in enumerate(sites)
    ]
    known = engine.entities(entities)
    requests = [
        {"principal": 'Job::"j"', "action": engine.ACTION, "resource": {"type": "Site", "id": str(n)}, "context": {}}
        for n in range(len(sites))
    ]
    return lambda: [set(answer.fired) for answer in engine.ask(requests, prepared, known)]


def _classes(job: attributes.JobAttributes) -> list[str]:
    return sorted({name for data in job.data for name in data.classes})


def _cel_texts() -> list[str]:
    tests = (
        lambda _, here: f'site.country in {here} && "health" in classes',
        lambda n, here: f'site.parent_hq in {here} && !("scheme-{n}" in site.certs)',
        lambda _, here: f"site.locations.exists(l, l in {here})",
        lambda _, here: f'site.legal_country in {here} && workload == "train"',
    )
    return [tests[kind](n, json.dumps(here)) for n, (kind, here) in enumerate(rows())]


def cel(job: attributes.JobAttributes, sites: Sequence[attributes.SiteAttributes]) -> Callable[[], Answer]:
    """Return the question to the CEL binding of its authors: expressions compiled, site by site."""
    module = importlib.import_module("cel_expr_python.cel")
    kinds = module.Type
    env = module.NewEnv(
        variables={
            "site": kinds.Map(kinds.STRING, kinds.DYN),
            "classes": kinds.List(kinds.STRING),
            "workload": kinds.STRING,
        }
    )
    compiled = [env.compile(text) for text in _cel_texts()]
    asked = {"classes": _classes(job), "workload": job.workload or ""}
    given = [{"site": facts(one), **asked} for one in sites]

    def ask() -> Answer:
        found = []
        for one in given:
            activation = env.Activation(one)
            found.append({n for n, rule in enumerate(compiled) if rule.eval(activation).value()})
        return found

    return ask


def cel_rust(job: attributes.JobAttributes, sites: Sequence[attributes.SiteAttributes]) -> Callable[[], Answer]:
    """Return the question to the CEL binding in Rust: programs compiled, site by site."""
    module = importlib.import_module("cel")
    compiled = [module.compile(text) for text in _cel_texts()]
    asked = {"classes": _classes(job), "workload": job.workload or ""}
    given = [{"site": facts(one), **asked} for one in sites]
    return lambda: [{n for n, rule in enumerate(compiled) if rule.execute(one)} for one in given]


def rego(job: attributes.JobAttributes, sites: Sequence[attributes.SiteAttributes]) -> Callable[[], Answer]:
    """Return the question to regopy: one module compiled to a bundle, site by site."""
    module = importlib.import_module("regopy")
    tests = (
        lambda _, here: f'  input.site.country in {here}\n  "health" in input.classes',
        lambda n, here: f'  input.site.parent_hq in {here}\n  not "scheme-{n}" in input.site.certs',
        lambda _, here: f"  some l in input.site.locations\n  l in {here}",
        lambda _, here: f'  input.site.legal_country in {here}\n  input.workload == "train"',
    )
    lines = ["package bench", "import rego.v1"]
    for n, (kind, here) in enumerate(rows()):
        lines += [f"deny contains {n} if {{", tests[kind](n, json.dumps(here)), "}"]
    building = module.Interpreter()
    building.add_module("bench.rego", "\n".join(lines))
    bundle = building.build(None, ["bench/deny"])
    asked = {"classes": _classes(job), "workload": job.workload or ""}
    given = [{"site": facts(one), **asked} for one in sites]

    def ask() -> Answer:
        found = []
        for one in given:
            building.set_input(one)
            output = building.query_bundle_entrypoint(bundle, "bench/deny")
            found.append({int(number) for number in json.loads(str(output))["expressions"][0]})
        return found

    return ask


PEERS: dict[str, Callable[..., Callable[[], Answer]]] = {
    "cedarpy": cedar,
    "cel": cel,
    "cel-rust": cel_rust,
    "rego": rego,
}


def measure(
    job: attributes.JobAttributes, sites: Sequence[attributes.SiteAttributes], options: figures.Options
) -> dict[str, object]:
    """Return microseconds a site for us and each peer that is installed, alternating; else how to install it."""
    found: dict[str, object] = {}
    asks: dict[str, Callable[[], Answer]] = {"comity": ours(job, sites)}
    for name, make in PEERS.items():
        try:
            asks[name] = make(job, sites)
        except ImportError:
            found[f"{name}_us_per_site"] = f"not installed: pip install {PACKAGES.get(name, name)}"
    want = asks["comity"]()
    assert any(want), "a comparison in which no rule fires compares nothing"
    for name, ask in asks.items():
        assert ask() == want, f"{name} answers something else"
    samples: dict[str, list[float]] = {name: [] for name in asks}
    for _ in range(options.repeats):
        for name, ask in asks.items():
            figures.settle()
            samples[name].append(figures.timed(ask) * 1e6 / len(sites))
    return found | {f"{name}_us_per_site": round(statistics.median(each), 2) for name, each in samples.items()}
