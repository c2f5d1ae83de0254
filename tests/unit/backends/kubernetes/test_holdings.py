"""What live Jobs hold is kept as they come and go, and is what adding all of them up would say."""

import dataclasses
import random
from typing import Any

from backends.kubernetes import caches, client, holdings, views
from tests.unit.backends.kubernetes import objects

POOLS = ("p", "q")


class Clock:
    """Seconds that pass when a test says so."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def made(number: int, version: int, *, over: bool = False, **more: Any) -> views.Job:
    """Return a Job of pool p or q, each with amounts of its own."""
    found = objects.job(version=version, conditions=(("Complete", ""),) if over else (), nodes=1 + number % 3)
    name = f"job-{number}"
    given: dict[str, Any] = {
        "name": name,
        "key": name,
        "pool": POOLS[number % 2],
        "cpu_milli": 10 * number + version,
        "memory_bytes": number << 20,
        "accelerators": number % 4,
        **more,
    }
    return dataclasses.replace(found, **given)


def started(clock: Clock) -> caches.Cluster:
    """Return what is known of a cluster of which nothing was asked."""
    return caches.Cluster(client.Client(None, ""), objects.wanted(), "gra", "here", clock)


def summed(cluster: caches.Cluster, pool: str) -> holdings.Held:
    """Return the same, added up from all that is known."""
    mine = [j for j in cluster.jobs.items.values() if cluster.ours(j) and not j.over and j.pool == pool]
    return holdings.Held(
        cpu_milli=sum(j.cpu_milli * j.nodes for j in mine),
        memory_bytes=sum(j.memory_bytes * j.nodes for j in mine),
        accelerators=sum(j.accelerators * j.nodes for j in mine),
        pods=sum(j.nodes for j in mine),
        keys=frozenset(j.key for j in mine),  # type: ignore[misc]
    )


def test_it_is_the_sum_of_what_lives_however_jobs_come_change_end_and_go() -> None:
    """After each of a thousand changes: Jobs of ours and of others, in both pools, that change, end, go, come again."""
    chance, clock = random.Random(17), Clock()
    cluster = started(clock)
    for version in range(1, 1_001):
        number = chance.randrange(20)
        known = cluster.jobs.items.get(f"job-{number}")
        if known is not None and chance.random() < 0.3:
            cluster.jobs.drop(known)
        else:
            more: dict[str, Any] = {"installation": "another"} if chance.random() < 0.1 else {}
            if chance.random() < 0.1:
                more["pool"] = "elsewhere"
            cluster.jobs.put(made(number, version, over=chance.random() < 0.2, **more))
        assert [cluster.held(pool) for pool in POOLS] == [summed(cluster, pool) for pool in POOLS]
        assert [job.name for job in cluster.live()] == sorted(
            job.name for job in cluster.jobs.items.values() if cluster.ours(job) and not job.over
        )


def test_a_job_that_is_older_than_what_is_known_changes_nothing() -> None:
    """Events come late and twice; what is counted is what is known, not what an event said."""
    cluster = started(Clock())
    cluster.jobs.put(made(1, version=10))
    before = cluster.held("q")
    cluster.jobs.put(made(1, version=9))
    assert cluster.held("q") == before == summed(cluster, "q") != holdings.NOTHING


def test_a_change_that_was_missed_is_counted_within_the_minute() -> None:
    """Nobody is told of a Job, nor of one that went: both show when all are counted anew, and not before."""
    clock = Clock()
    cluster = started(clock)
    cluster.jobs.put(made(2, version=1))
    before = cluster.held("p")
    cluster.jobs.items["job-4"] = made(4, version=2)
    del cluster.jobs.items["job-2"]
    clock.now_s += holdings.RECOUNT_S - 1
    assert cluster.held("p") == before
    clock.now_s += 2
    assert cluster.held("p") == summed(cluster, "p") != before
    assert [job.name for job in cluster.live()] == ["job-4"]


def test_a_node_that_says_again_what_it_said_is_no_news_of_its_pods() -> None:
    """Status of a node is written every few minutes; what was observed of its attempts stands until it differs."""
    cluster = started(Clock())
    cluster.nodes.put(objects.node())
    cluster.jobs.put(objects.job(active=1))
    cluster.pods.put(objects.pod())
    seen = cluster.observation(objects.job(active=1))
    cursor = cluster.news.since(None).cursor
    cluster.nodes.put(dataclasses.replace(objects.node(), version=objects.node().version + 1))
    assert cluster.news.since(cursor).keys == frozenset()
    assert cluster.observation(objects.job(active=1)) is seen
    sick = dataclasses.replace(objects.node(), version=objects.node().version + 2, ready=False)
    cluster.nodes.put(sick)
    assert cluster.news.since(cursor).keys == frozenset({objects.KEY})
    cursor = cluster.news.since(None).cursor
    cluster.nodes.drop(sick)
    assert cluster.news.since(cursor).keys == frozenset({objects.KEY})
    cursor = cluster.news.since(None).cursor
    cluster.nodes.put(dataclasses.replace(sick, version=sick.version + 1))
    assert cluster.news.since(cursor).keys == frozenset({objects.KEY})
