"""B2: what policy costs: 100 rules at 1,000 sites.

``cold_class_ms``: judging one class nobody has seen, reasons as bits; what a rule said of the same constraint values
is remembered. ``first_class_ms``: the first class ever on a table. ``cold_class_rendered_ms``: the same with every
sentence of every refusal. ``us_per_pair``: 100,000 jobs of 200 classes at 1,000 sites, from job document to verdict,
over the number of (job, site) pairs; verdicts are remembered by class, which is the point.
``explain_nearest_ms``: the whole answer about a job that no site may take, filters included, with the nearest change
found and proved. ``replay_decisions_per_s``: ``comity policy replay`` over the placements of :mod:`bench.histories`.

The built-in packs hold fewer than 100 rules, so a made-up pack of the same kinds of conditions fills the book.
"""

from __future__ import annotations

from dataclasses import replace

from bench import engines, figures, fleets, histories
from orchestrator.domain import jobs, money
from orchestrator.policy import attributes, conversions, evaluator, rulebook, table
from orchestrator.scheduler import answers, caches, classes, snapshots
from orchestrator.sources import countries, packs, yamls

RULES = 100
SITES = 1_000
CLASSES = 200


def book() -> rulebook.RuleBook:
    """Return the built-in packs and as many made-up rules as are missing to 100."""
    own = []
    for path in sorted(packs.BUILT_IN.iterdir()):
        if (path / "rules.yaml").exists():
            facts = yamls.read(path / "facts.yaml").data if (path / "facts.yaml").exists() else None
            own.append(rulebook.RawPack(path.name, yamls.read(path / "rules.yaml").data, facts))
    missing = RULES - len(packs.load().rules)
    made = [_rule(number) for number in range(missing)]
    fill = {"pack": "fill", "version": "1", "title": "made-up rules", "rules": made}
    found = rulebook.build([*own, rulebook.RawPack("fill", fill)], countries=countries.names())
    assert not found.failed, found.failed
    return found


def _rule(number: int) -> dict[str, object]:
    here = [fleets.PLACES[number % len(fleets.PLACES)], "KP"]
    kinds: list[dict[str, object]] = [
        {"when": [{"in": ["site.country", here]}, {"any_in": ["data.classes", ["health"]]}], "for_each": ["data"]},
        {"when": [{"in": ["site.parent_hq", here]}], "unless": [{"holds": ["site.certs", f"scheme-{number}"]}]},
        {"when": [{"in": ["location", here]}], "for_each": ["location"]},
        {"when": [{"in": ["site.legal_country", here]}, {"is": ["job.workload", "train"]}]},
    ]
    return {
        "id": f"fill.r{number}",
        "effect": "deny" if number % 3 else "oblige",
        "basis": "house",
        "message": "made up",
        "source": "bench",
        "remedy": [{"kind": "FIX_BACKEND", "change": "none"}],
        **kinds[number % len(kinds)],
    }


@figures.figure("B2", "policy evaluation cost: 100 rules at 1,000 sites")
def measure(options: figures.Options) -> figures.Result:
    """Measure all of them."""
    world = replace(fleets.world(), rulebook=book())
    snapshot = fleets.snapshot(fleets.pools(SITES), world)
    sites = table.SiteTable(conversions.of_site(site) for site in sorted(snapshot.sites, key=lambda site: site.name))
    count = options.size(100_000, 2_000)
    cold: list[float] = []
    rendered: list[float] = []
    pair: list[float] = []
    first: list[float] = []
    explained: list[float] = []
    replayed: list[float] = []
    number = 0
    placements = options.size(100_000, 2_000)
    history = histories.write(snapshot, placements)
    warm = caches.Cache()
    _explain(snapshot, number, warm)
    for _ in range(options.repeats):
        figures.settle()
        some = []
        for _ in range(options.size(100, 10)):
            job, _ = classes.read(classes.kind_of(fleets.TENANT, fleets.job(number := number + 1)), world)
            some.append(figures.timed(lambda j=job: evaluator.judge(j, sites, world.rulebook, fleets.AT)) * 1e3)  # type: ignore[misc]
        cold.append(figures.percentile(some, 50))
        fresh = table.SiteTable(sites.sites)
        job, _ = classes.read(classes.kind_of(fleets.TENANT, fleets.job(number := number + 1)), world)
        first.append(figures.timed(lambda j=job, t=fresh: evaluator.judge(j, t, world.rulebook, fleets.AT)) * 1e3)  # type: ignore[misc]
        job, _ = classes.read(classes.kind_of(fleets.TENANT, fleets.job(number := number + 1)), world)
        rendered.append(figures.timed(lambda j=job: _render(j, sites, world.rulebook)) * 1e3)  # type: ignore[misc]
        specs = [_named(fleets.job(at % CLASSES), at) for at in range(count)]
        cache = caches.Cache()
        cache.refresh(snapshot)
        seconds = figures.timed(lambda c=cache, s=specs: _judge_all(c, s))  # type: ignore[misc]
        pair.append(seconds * 1e6 / (count * SITES))
        figures.settle()
        one = number = number + 1
        explained.append(figures.timed(lambda n=one: _explain(snapshot, n, warm)) * 1e3)  # type: ignore[misc]
        book_now = packs.load()
        replayed.append(placements / figures.timed(lambda b=book_now: histories.replay(history, b, placements)))  # type: ignore[misc]
    peers: dict[str, object] = {}
    if options.peers:
        job, _ = classes.read(classes.kind_of(fleets.TENANT, fleets.job(0)), world)
        peers = engines.measure(job, sites.sites, options)
    return figures.Result(
        {
            "us_per_pair": figures.metric(pair, "us", target=0.5, better="lower"),
            "cold_class_ms": figures.metric(cold, "ms", target=3.0, better="lower"),
            "first_class_ms": figures.metric(first, "ms", target=None, better="lower"),
            "cold_class_rendered_ms": figures.metric(rendered, "ms", target=20.0, better="lower"),
            "explain_nearest_ms": figures.metric(explained, "ms", target=50.0, better="lower"),
            "replay_decisions_per_s": figures.metric(replayed, "/s", target=50_000, better="higher"),
        },
        bound_by="one core: walking the rules' conditions in Python for a class new to some rule; making each distinct "
        "sentence once; hashing each job's document to find its class",
        peers=peers,
        notes=(
            f"{len(world.rulebook.rules)} rules, of which {RULES - len(packs.load().rules)} made up",
            f"replayed: {placements} placements of {histories.CLASSES} classes, by the built-in packs as they are",
            f"peers: {engines.RULES} rules at {SITES} sites, parsed beforehand, with the same answers from all",
        ),
        loses=("Cedar, CEL and Rego say what no closed list of predicates can: rules of the house's own are in Cedar",),
    )


def _render(job: attributes.JobAttributes, sites: table.SiteTable, rules: rulebook.RuleBook) -> int:
    judgement = evaluator.judge(job, sites, rules, fleets.AT)
    return sum(map(len, judgement.explained()))


def _explain(snapshot: snapshots.Snapshot, number: int, cache: caches.Cache) -> None:
    spec = fleets.job(number)
    # Cheaper than the cheapest pool.
    spec = replace(spec, limits=replace(spec.limits, price_per_hour=money.Money(100_000 + number, "EUR")))
    answer = answers.plan_one(spec, snapshot, tenant=fleets.TENANT, cache=cache).answer
    assert answer.nearest_change
    assert not answer.ranking


def _judge_all(cache: caches.Cache, specs: list[jobs.JobSpec]) -> None:
    for spec in specs:
        cache.verdict(cache.class_of(classes.kind_of(fleets.TENANT, spec)), fleets.AT)


def _named(spec: jobs.JobSpec, number: int) -> jobs.JobSpec:
    return replace(spec, name=f"job-{number}")
