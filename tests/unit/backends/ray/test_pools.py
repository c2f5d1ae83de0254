"""From nodes to pools, and from what is held to what is free."""

import datetime as dt

import pytest

from backends.ray import accelerators, pools, settings
from orchestrator.domain import ids, sites

NOW = dt.datetime(2026, 11, 22, tzinfo=dt.UTC)
REGION, KIND = pools.REGION, accelerators.TYPE_LABEL


def node(id, cpus=4, gpus=0, kind=None, **labels):
    resources = {"CPU": float(cpus), "memory": 8e9, **({"GPU": float(gpus)} if gpus else {})}
    given = {name.replace("_", "."): value for name, value in labels.items()}
    region = {REGION: given.pop("region")} if "region" in given else {}
    return pools.Node(id, {**given, **region, **({KIND: kind} if kind else {})}, resources)


def read(**more):
    return settings.RaySettings.read({"url": "http://r", **more})


def names(found):
    return {share.pool.name: [each.id for each in share.nodes] for share in found}


def held(key="k-1", pool="p", cpu=1000, node=None, live=True, ended_ms=0, accelerators=0):
    return pools.Held(ids.AttemptKey(key), pool, cpu, 0, accelerators, node, live, ended_ms)


def offer(share, held_=(), usage=None):
    return pools.offer(share, "b", held_, usage, NOW, isolated=False, note="")


MIXED = [
    node("a", region="eu-west"),
    node("b", region="eu-west", gpus=8, kind="H100"),
    node("c", region="eu-south", gpus=4, kind="A100"),
    node("d"),
]


def test_without_pools_each_accelerator_in_each_region_is_one():
    """Regions are places, and a place is what is judged: they are never one pool."""
    found = pools.shares((), MIXED, read())
    assert names(found) == {
        "cpu": ["d"],
        "eu-south-a100": ["c"],
        "eu-west-cpu": ["a"],
        "eu-west-nvidia-h100-sxm": ["b"],
    }


def test_the_selector_of_a_pool_holds_for_its_nodes_and_for_no_other():
    """Whatever Ray reads of a selector, it reads as we do: no job can land beside its pool."""
    for share in pools.shares((), MIXED, read()):
        rule = pools.Rule(share.selector, share.custom)
        assert [each.id for each in MIXED if pools.meets(each, rule)] == [each.id for each in share.nodes], share.pool


def test_a_name_without_a_row_is_a_slug_the_catalogue_does_not_know():
    """A100 may be the one of 40 GB: it is not taken for the other."""
    assert accelerators.slug_of("A100", {}) == "a100"
    assert accelerators.slug_of("A100", {"A100": "nvidia-a100-80g"}) == "nvidia-a100-80g"


def test_a_declared_pool_takes_the_nodes_with_its_accelerator():
    """A name of the catalogue and Ray's own mean the same; a pool without any takes no accelerator."""
    found = pools.shares((sites.Pool("x", accelerator="nvidia-h100-sxm"), sites.Pool("y")), MIXED, read())
    assert names(found) == {"x": ["b"], "y": ["a", "d"]}
    assert found[1].selector == {KIND: "!in(A100,H100)"}


def test_settings_say_which_nodes_are_a_pool():
    """Every condition must hold, and a missing label equals nothing."""
    rules = {
        "w": {"labels": {REGION: "in(eu-west, eu-north)", KIND: "!H100"}},
        "rest": {"labels": {REGION: "!eu-west"}},
    }
    found = pools.shares((sites.Pool("w"), sites.Pool("rest")), MIXED, read(pools=rules))
    assert names(found) == {"w": ["a"], "rest": ["c", "d"]}
    assert "also found" not in " ".join(found[0].notes)


def test_nodes_in_several_regions_are_told():
    """One pool over two regions has one declared place: somebody should look."""
    (share,) = pools.shares((sites.Pool("p"),), [MIXED[0], node("z", region="us-east")], read())
    assert "several regions: eu-west, us-east" in " ".join(share.notes)


def test_what_is_declared_and_not_there_does_not_count():
    """The smaller figure counts, and the difference is said."""
    (share,) = pools.shares((sites.Pool("p", accelerator="H100", count=16),), MIXED, read())
    assert offer(share).total.accelerators == 8
    assert "16 H100 declared, 8 found" in offer(share).detail


def test_our_live_jobs_are_subtracted_and_named():
    """Also one that waits: it will take its room."""
    (share,) = pools.shares((sites.Pool("p"),), [node("a", cpus=4)], read())
    found = offer(share, [held("k-1", node="a"), held("k-2"), held("k-3", live=False), held("k-4", pool="other")])
    assert (found.free.cpu_milli, found.counted) == (2000, {"k-1", "k-2"})
    assert found.isolation_none


def test_what_others_use_is_subtracted_once():
    """Ray's figure holds our own jobs too, and those that ended after it was made."""
    (share,) = pools.shares((sites.Pool("p"),), [node("a", cpus=8)], read())
    usage = pools.Usage(100_000, {"a": {"CPU": 5.0}, "elsewhere": {"CPU": 99.0}})
    ours = [held("k-1", node="a"), held("k-2", node="a", live=False, ended_ms=99_000)]
    assert pools.others(share, ours, usage)[0] == 3000
    assert offer(share, ours, usage).free.cpu_milli == 4000
    old = [held("k-3", node="a", live=False, ended_ms=1)]
    assert pools.others(share, old, usage)[0] == 5000


def test_accelerators_are_counted_like_the_rest():
    """Ours, and those of others, by the resource that Ray counts them by."""
    (share,) = pools.shares((sites.Pool("p", accelerator="H100"),), MIXED, read())
    usage = pools.Usage(100_000, {"b": {"GPU": 5.0}})
    found = offer(share, [held("k-1", node="b", accelerators=2), held("k-2", accelerators=1)], usage)
    assert (found.total.accelerators, found.free.accelerators) == (8, 2)


def test_a_cluster_that_does_not_say_what_is_used_is_told_so():
    """Nothing is invented."""
    (share,) = pools.shares((sites.Pool("p"),), [node("a")], read())
    assert "does not say what others use" in offer(share).detail


def test_a_pool_without_nodes_offers_nothing():
    """It stays, because its document does."""
    (share,) = pools.shares((sites.Pool("p", accelerator="B200"),), MIXED, read())
    found = offer(share)
    assert (found.total.accelerators, found.free.cpu_milli) == (0, 0)
    assert "no node is up" in found.detail


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"comity.dev/country": "FR"}, "FR"),
        ({"comity.dev/country": "France"}, None),
        ({"comity.dev/country": "fr"}, None),
        ({"comity.dev/country": "FRA"}, None),
        ({REGION: "eu-west"}, "IE"),
        ({REGION: "eu-west", "comity.dev/country": "FR"}, "FR"),
        ({REGION: "eu-north"}, None),
        ({}, None),
    ],
)
def test_a_country_is_read_and_never_guessed(labels, said):
    """A label that holds a code, else the operator's own table; a region's name alone says nothing."""
    places = pools.Places("comity.dev/country", {"eu-west": "IE"})
    country, source = places.country_of(pools.Node("a", labels, {}))
    assert country == said
    assert bool(source) == (said is not None)


def test_a_ray_that_takes_no_label_selector_is_sent_no_job_that_needs_one():
    """It would run the job on any node; a pool of all nodes, or one by a custom resource, is none of its labels."""
    labels = pools.shares(
        (sites.Pool("w"),), MIXED, read(pools={"w": {"labels": {"ray.io/availability-region": "eu-west"}}})
    )
    for share, version, kept in (
        (labels[0], "2.52.1", False), (labels[0], "2.54.0", True), (labels[0], "3.0.0.dev0", True),
        (pools.shares((sites.Pool("p"),), [node("a")], read())[0], "2.49.2", True),
    ):  # fmt: skip
        found = pools.reachable(share, version)
        assert (found == share) is kept, (share, version)
        if not kept:
            assert (found.nodes, found.found.cpu_milli, "custom resource" in found.notes[-1]) == ((), 0, True)
