"""B1: how long one placement decision takes, every refusal kept.

Measured from a job document in memory to the ranked list of sites: classify, judge by every rule, run every filter,
score, rank. Each of the 2,000 jobs of a repeat is of a class of its own (another price cap, another set of denied
exposures), so no verdict is ever reused; the columns of the sites are warm, as they are in a running control plane,
and so is what single rules said of constraint values seen before; ``first_ms`` is on columns that remember nothing.
Reasons are kept as bits, one a rule and filter and site. Writing the decision down (canonical JSON, SHA-256) and
making every sentence of every refusal are measured apart.
"""

from __future__ import annotations

from bench import figures, fleets, skypilot
from orchestrator.domain import jobs
from orchestrator.placement import columns, requirements, select
from orchestrator.policy import conversions, evaluator, table
from orchestrator.scheduler import answers, caches, classes, snapshots, worlds

SIZES = {100: 0.3, 1_000: 1.0, 10_000: 5.0}
"""Pools -> target of p99 in milliseconds."""
JOBS = 2_000


def decide(spec: jobs.JobSpec, world: worlds.World, grid: columns.Columns, sites: table.SiteTable) -> select.Selection:
    """Decide on one job of a class that nobody has seen."""
    job, requirement = classes.read(classes.kind_of(fleets.TENANT, spec), world)
    day = caches.day_of(fleets.AT)
    question = requirements.ask(requirement, day, world.sets_on(day), world.tables)
    judgement = evaluator.judge(job, sites, world.rulebook, fleets.AT)
    selection = select.select(question, grid, judgement)
    assert len(selection.bits) == len(grid)
    return selection


@figures.figure("B1", "placement decision latency, a reason kept for every rejected pool")
def measure(options: figures.Options) -> figures.Result:
    """Measure all sizes."""
    world = fleets.world()
    metrics: dict[str, figures.Metric] = {}
    for size, target in SIZES.items():
        metrics |= _measure_size(size, target, world, options)
    peers: dict[str, object] = {}
    if options.peers:
        for size in (100,) if options.quick else (100, 1_000):
            peers[f"skypilot_{size}_pools"] = skypilot.measure(fleets.pools(size), options)
    rules = len(world.rulebook.rules)
    return figures.Result(
        metrics,
        bound_by=f"one core: looking up what {rules} rules and the filters said of the same constraints costs the same "
        "at any size; the numpy passes over the columns show from some thousand pools on",
        peers=peers,
        notes=(
            "reasons are kept as bits, one a rule, filter and pool; rendered_ms is a decision with every sentence",
            "every job is of a class of its own, so no verdict is reused: the price cap is always new",
            "what one rule or filter said of constraint values seen before is reused (256 sets of denied exposures)",
            "first_ms is one decision on columns that remember nothing",
        ),
    )


def _measure_size(size: int, target: float, world: worlds.World, options: figures.Options) -> dict[str, figures.Metric]:
    fleet = fleets.pools(size)
    snapshot = fleets.snapshot(fleet, world)
    grid = columns.build(snapshots.rows_of(snapshot).values())
    sites = table.SiteTable(conversions.of_site(row.site) for row in grid.items)
    count = options.size(JOBS, 200)
    p50, p99, ranked, recorded, rendered, first = [], [], [], [], [], []
    number = 0
    for _ in range(20):
        decide(fleets.job(number := number + 1), world, grid, sites)
    for _ in range(options.repeats):
        specs = [fleets.job(number := number + 1) for _ in range(count)]
        figures.settle()
        times = []
        for spec in specs:
            times.append(figures.timed(lambda s=spec: ranked.append(len(decide(s, world, grid, sites).ranking))))  # type: ignore[misc]
        p50.append(figures.percentile(times, 50) * 1e3)
        p99.append(figures.percentile(times, 99) * 1e3)
        new_grid = columns.build(grid.items)
        new_sites = table.SiteTable(sites.sites)
        spec = fleets.job(number := number + 1)
        first.append(figures.timed(lambda s=spec, g=new_grid, t=new_sites: decide(s, world, g, t)) * 1e3)  # type: ignore[misc]
        cache = caches.Cache()
        cache.refresh(snapshot)
        cache.facts()
        job = cache.class_of(classes.kind_of(fleets.TENANT, fleets.job(number := number + 1)))
        selection = select.choose(cache.verdict(job, snapshot.at), grid)
        recorded.append(figures.timed(lambda j=job, s=selection, c=cache: c.decision(j, s, snapshot.at)) * 1e3)  # type: ignore[misc]
        again = fleets.job(number := number + 1)
        rendered.append(
            figures.timed(
                lambda s=again, c=cache: answers.plan_one(s, snapshot, tenant=fleets.TENANT, cache=c)  # type: ignore[misc]
            )
            * 1e3
        )
    assert max(ranked) > 0 or size < 1_000
    return {
        f"p99_ms_{size}_pools": figures.metric(p99, "ms", target=target, better="lower"),
        f"p50_ms_{size}_pools": figures.metric(p50, "ms", target=None, better="lower"),
        f"first_ms_{size}_pools": figures.metric(first, "ms", target=None, better="lower"),
        f"record_ms_{size}_pools": figures.metric(recorded, "ms", target=None, better="lower"),
        f"rendered_ms_{size}_pools": figures.metric(rendered, "ms", target=None, better="lower"),
    }
