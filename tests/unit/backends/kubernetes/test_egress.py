"""Where an attempt may connect to is one NetworkPolicy, taken only where settings say what it is worth."""

import pytest

from backends.kubernetes import adapter, egress, holdings, render, rooms
from orchestrator.domain import errors, jobs, offers, sites
from orchestrator.ports import backends
from tests.unit.backends.kubernetes import objects

Power = offers.Capability
UNCHECKED = jobs.Enforcement.UNCHECKED


def made(wanted: jobs.Egress, *, nodes: int = 1, said: str = "enforced") -> dict[str, object]:
    """Return the spec of the NetworkPolicy of a job."""
    placement = objects.placement(egress=wanted, nodes=nodes)
    (found,) = render.objects(placement, objects.grant(networkPolicy=said)).policies
    return dict(found["spec"])


def test_nothing_allowed_refuses_everything() -> None:
    """The type alone, without a rule, lets nothing out of the pods of this attempt and of no other."""
    mine = {"matchLabels": {"batch.kubernetes.io/job-name": objects.KEY}}
    assert made(jobs.Egress()) == {"podSelector": mine, "policyTypes": ["Egress"]}


def test_networks_names_and_the_gang_are_let_out() -> None:
    """What is named, the resolver of the cluster on its port, and the other nodes of a gang; nothing else."""
    found = made(jobs.Egress(("192.0.2.0/24", "2001:db8::/32"), dns=True), nodes=2)["egress"]
    assert found == [
        {"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}, {"ipBlock": {"cidr": "2001:db8::/32"}}]},
        {"to": [{"podSelector": {"matchLabels": {"batch.kubernetes.io/job-name": objects.KEY}}}]},
        {
            "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}],
            "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
        },
    ]


def test_a_job_that_says_nothing_has_no_policy() -> None:
    """Then the cluster's own rules hold."""
    assert render.objects(objects.placement(), objects.grant(networkPolicy="enforced")).policies == ()


@pytest.mark.parametrize(
    ("said", "wanted", "taken"),
    [
        (None, jobs.Egress(), False),
        (None, jobs.Egress(enforcement=UNCHECKED), False),
        ("unchecked", jobs.Egress(), False),
        ("unchecked", jobs.Egress(enforcement=UNCHECKED), True),
        ("enforced", jobs.Egress(), True),
        ("enforced", jobs.Egress(enforcement=UNCHECKED), True),
    ],
)
def test_what_nobody_vouches_for_is_not_taken(said: str | None, wanted: jobs.Egress, taken: bool) -> None:
    """Stated and rendered are the same; one that is sent all the same is refused before anything is."""
    more = {} if said is None else {"networkPolicy": said}
    context = backends.AdapterContext("gra", [sites.Pool("p")], "", "here", lambda: objects.NOW)
    settings = {"inCluster": True, "namespace": "jobs", "jurisdiction": "FR", **more}
    needed = Power.EGRESS_RULES if wanted.enforcement is UNCHECKED else Power.EGRESS
    assert adapter.build(settings, context).capabilities().has(needed) is taken
    placement, grant = objects.placement(egress=wanted), objects.grant(**more)
    if taken:
        assert len(render.objects(placement, grant).policies) == 1
    else:
        with pytest.raises(errors.PermanentError, match="networkPolicy"):
            render.objects(placement, grant)


def test_an_offer_says_what_the_rules_are_worth() -> None:
    """Declared, or nobody's word."""
    for said, words in (("enforced", "as its operator declares"), ("unchecked", "nobody says")):
        wanted = objects.wanted(networkPolicy=said)
        nodes = {"n1": objects.node()}
        found = rooms.offer("gra", sites.Pool("p"), nodes, holdings.NOTHING, wanted, objects.NOW, declared=True)
        assert words in found.detail
    assert egress.told(None) == ""
