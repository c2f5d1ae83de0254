"""ClusterProfiles as drafts: what is believed, what becomes a hole, and what a hostile profile can do (nothing)."""

import base64
import datetime as dt
from typing import Any

import pytest
import yaml

from backends.kubernetes import kubeconfigs, profiles
from backends.kubernetes import settings as schema
from orchestrator.domain import ids
from orchestrator.ports import inventories
from orchestrator.settings import adapters
from orchestrator.wire import errors
from orchestrator.wire.documents import reading

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
WANTED = profiles.Wanted("comity-jobs")
CA = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n").decode()


def prop(name: str, value: Any, seen: Any = "2026-11-22T12:00:00Z") -> dict[str, Any]:
    """Return a property."""
    return {"name": name, "value": value, **({} if seen is None else {"lastObservedTime": seen})}


def access(name: str = "token", server: Any = "https://kube.example:6443", **more: Any) -> dict[str, Any]:
    """Return an access provider."""
    return {"name": name, "cluster": {"server": server, "certificate-authority-data": CA, **more}}


def profile(*, name: Any = "paris-1", **status: Any) -> dict[str, Any]:
    """Return a healthy profile with one access provider, unless its status says otherwise."""
    healthy = {"type": "ControlPlaneHealthy", "status": "True", "reason": "Ok", "message": ""}
    usual = {"conditions": [healthy], "accessProviders": [access()], "version": {"kubernetes": "1.36.4"}}
    return {
        "apiVersion": "multicluster.x-k8s.io/v1alpha1",
        "kind": "ClusterProfile",
        "metadata": {"name": name, "namespace": "fleet"},
        "spec": {"clusterManager": {"name": "some-manager"}, "displayName": "Paris"},
        "status": {**usual, **status},
    }


def drafted(found: Any, **wanted: Any) -> inventories.Draft:
    """Return the draft of a profile, and check what holds of every draft."""
    draft = profiles.draft(found, profiles.Wanted("comity-jobs", **wanted), NOW)
    for line in (*draft.notes, *draft.warnings):
        assert line.isprintable()
        assert len(line) < 2_000
    for text in draft.files.values():
        assert isinstance(yaml.safe_load(text), dict)
    return draft


def problems(draft: inventories.Draft) -> set[str]:
    """Return the paths at which the schema of documents refuses a draft."""
    document = {"apiVersion": "comity.dev/v1", "kind": "Backend", "metadata": {"name": draft.name}, "spec": draft.spec}
    try:
        reading.read(document)
    except errors.InvalidDocumentError as error:
        return {one.path for one in error.errors}
    return set()


def test_what_no_profile_knows_is_a_hole_that_apply_refuses_by_its_path() -> None:
    """Without fresh properties of ours, country and operator are refused by the documents' schema; nothing else is."""
    draft = drafted(profile(properties=[prop("topology.kubernetes.io/region", "eu-west-3")]))
    assert problems(draft) == {"spec.location.country", "spec.operator"}
    assert str(draft.spec["settings"]["jurisdiction"]).startswith(inventories.HOLE)  # type: ignore[index]
    assert "facts" not in draft.spec
    assert any("eu-west-3" in line and line.endswith("not read") for line in draft.notes)
    assert not draft.warnings


def test_a_hole_in_the_settings_is_refused_by_the_adapter_too() -> None:
    """Whoever fills the document and forgets the settings gets no backend: the adapter reads no country there."""
    draft = drafted(profile())
    settings = {**draft.spec["settings"], "kubeconfig": "x"}  # type: ignore[dict-item]
    with pytest.raises(adapters.SettingsError, match="jurisdiction"):
        schema.KubernetesSettings.read(settings)


def test_fresh_properties_of_ours_count_as_declared_with_source_and_day() -> None:
    """Country and operator are taken where they are fresh; the document says who said it and when, and is complete."""
    seen = "2026-11-20T23:59:59Z"
    draft = drafted(profile(properties=[prop("comity.dev/country", "FR"), prop("comity.dev/operator", "ovh", seen)]))
    assert problems(draft) == set()
    assert draft.spec["location"] == {"country": "FR"}
    assert draft.spec["operator"] == "ovh"
    assert draft.spec["settings"]["jurisdiction"] == "FR"  # type: ignore[index]
    assert draft.spec["facts"] == {
        "source": "ClusterProfile fleet/paris-1 of cluster manager some-manager: "
        "comity.dev/country, comity.dev/operator",
        "asOf": "2026-11-20",
        "assurance": "declared",
    }


@pytest.mark.parametrize(
    ("country", "why"),
    [
        (prop("comity.dev/country", "FR", None), "any age"),
        (prop("comity.dev/country", "FR", "2026-11-16T11:59:59Z"), "more than 7 days"),
        (prop("comity.dev/country", "FR", "2026-11-23T12:05:01Z"), "in the future"),
        (prop("comity.dev/country", "FR", "2026-11-22T12:00:00"), "any age"),
        (prop("comity.dev/country", "FR", 20261122), "any age"),
        (prop("comity.dev/country", "France"), "no country"),
        (prop("comity.dev/country", "fr"), "no country"),
        (prop("comity.dev/country", "UK"), "no country"),
        (prop("comity.dev/country", "FR\n"), "no country"),
        (prop("comity.dev/country", ["FR"]), "no country"),
        (prop("comity.dev/country", None), "no country"),
    ],
)
def test_a_country_that_is_stale_or_none_is_not_taken(country: dict[str, Any], why: str) -> None:
    """What is of any age, too old, from the future or no country stays a hole, and the draft says why."""
    draft = drafted(profile(properties=[country]))
    assert "spec.location.country" in problems(draft)
    assert "facts" not in draft.spec
    assert any("comity.dev/country" in line and why in line for line in draft.notes)


def test_a_property_that_says_two_things_says_nothing() -> None:
    """The standard lets a name stand in the list twice; with two values none counts, in either order."""
    two = [prop("comity.dev/country", "FR"), prop("comity.dev/country", "US", "2020-01-01T00:00:00Z")]
    for listed in (two, two[::-1]):
        assert "spec.location.country" in problems(drafted(profile(properties=listed)))


@pytest.mark.parametrize("found", [{}, {"status": None}, {"metadata": [], "spec": 7, "status": "x"}, {"metadata": {}}])
def test_a_profile_with_nothing_in_it_becomes_holes(found: dict[str, Any]) -> None:
    """No status, or a malformed one, is a draft without facts and without a kubeconfig, flagged as not healthy."""
    draft = drafted(found)
    assert problems(draft) == {"spec.location.country", "spec.operator"}
    assert draft.files == {}
    assert any(line.startswith("NOT KNOWN TO BE HEALTHY") for line in draft.warnings)
    assert any("no access provider" in line for line in draft.warnings)


@pytest.mark.parametrize("status", ["False", "Unknown", "true", None, 1])
def test_only_true_is_healthy(status: Any) -> None:
    """Every other status of the condition is flagged with the manager's words, and one bad one is enough."""
    good = {"type": "ControlPlaneHealthy", "status": "True"}
    bad = {"type": "ControlPlaneHealthy", "status": status, "reason": "Down", "message": "no answer\nfor an hour"}
    for listed in ([bad], [good, bad]):
        warnings = drafted(profile(conditions=listed)).warnings
        assert any(line.startswith("NOT HEALTHY") and "no answer for an hour" in line for line in warnings)


def test_hostile_text_stays_in_its_comment() -> None:
    """Line ends, terminal codes and YAML in names and values come out as one quoted line, and set no field."""
    bad = "x\n---\nspec: {operator: evil}\x1b[2J\u2028\u202e"
    draft = drafted(profile(name=bad, properties=[prop(bad, bad)], version={"kubernetes": bad}))
    assert problems(draft) == {"spec.location.country", "spec.operator"}
    assert draft.name == profiles.name_of(bad) != bad
    assert "operator" not in str(draft.spec["location"])
    assert "operator: evil" not in str(draft.spec)


def test_names_are_those_of_documents_and_stay_apart() -> None:
    """A name that is too long or none is cut, with a digest, so that two of them do not meet."""
    long = "a" * 63
    assert profiles.name_of(long) == long
    names = {
        profiles.name_of(one) for one in (long + "a", long + "b", "", None, "../../etc/passwd", "a/b", "a b", "a\n")
    }
    assert len(names) == 8
    assert all(ids.is_name(one) for one in names)


def test_huge_lists_are_cut_and_nothing_of_them_is_believed() -> None:
    """A profile with more properties than are read gives a short draft, in which not even the first ones count."""
    many = [prop("comity.dev/country", "FR"), *(prop(f"p{number}", "x" * 1024) for number in range(5_000))]
    draft = drafted(profile(properties=many, accessProviders=[access(str(one)) for one in range(5_000)]))
    assert "spec.location.country" in problems(draft)
    assert len(draft.notes) < 50
    assert sum(map(len, draft.notes)) < 20_000


def test_the_kubeconfig_has_address_and_ca_and_no_user() -> None:
    """As it stands it is refused for its user alone; with one it is read."""
    text = drafted(profile()).files["kubeconfig"]
    with pytest.raises(kubeconfigs.KubeconfigError, match="no token"):
        kubeconfigs.read(text, None, ())
    whole = yaml.safe_load(text)
    whole["users"][0]["user"] = {"token": "t"}
    found = kubeconfigs.read(yaml.safe_dump(whole), None, ())
    assert found.server == "https://kube.example:6443"
    assert found.ca is not None


def test_the_older_field_is_read_where_the_newer_is_absent() -> None:
    """``credentialProviders`` of v1alpha1 stands in where there is no ``accessProviders``; the newer one wins."""
    old = [access(server="https://old.example")]
    assert "old.example" in drafted(profile(accessProviders=None, credentialProviders=old)).files["kubeconfig"]
    assert "old.example" not in drafted(profile(credentialProviders=old)).files["kubeconfig"]


@pytest.mark.parametrize(
    "provider",
    [
        access(server="http://kube.example"),
        access(server="https://user:secret@kube.example"),
        access(server="https://["),
        access(server="https://kube.example\nusers: []"),
        access(server="https://" + "a" * 3_000),
        access(server=None),
        access(server=7),
        access(**{"insecure-skip-tls-verify": True}),
        access(**{"certificate-authority": "/etc/ssl/ca.pem"}),
        access(**{"certificate-authority-data": "AAAA"}),
        access(**{"certificate-authority-data": CA * 5_000}),
        access(**{"proxy-url": "http://proxy.example"}),
        {"name": "x", "cluster": None},
        "x",
    ],
)
def test_an_address_that_nobody_should_connect_to_is_left_out(provider: Any) -> None:
    """Plain HTTP, passwords in the URL, no check of the certificate, files, proxies: no kubeconfig, and why."""
    draft = drafted(profile(accessProviders=[provider]))
    assert draft.files == {}
    assert any("access provider" in line for line in draft.warnings)
    assert "secret" not in " ".join((*draft.notes, *draft.warnings))


def test_of_different_clusters_a_person_chooses() -> None:
    """Where providers name different clusters none is taken, until one is named; the same address twice is one."""
    two = [access("a", "https://a.example"), access("b", "https://b.example")]
    draft = drafted(profile(accessProviders=two))
    assert draft.files == {}
    assert any("--access-provider" in line for line in draft.warnings)
    assert "b.example" in drafted(profile(accessProviders=two), access_provider="b").files["kubeconfig"]
    assert drafted(profile(accessProviders=two), access_provider="c").files == {}
    assert drafted(profile(accessProviders=[access("a"), access("b")])).files
