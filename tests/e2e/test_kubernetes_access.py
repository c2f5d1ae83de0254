"""What the adapter asks of a cluster: the rights it states, objects without a warning, words as they were said."""

import base64
import dataclasses
import datetime as dt
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from backends.kubernetes import adapter as adapters
from backends.kubernetes import permissions, render
from orchestrator.domain import errors, ids, jobs, sites
from orchestrator.ports import backends
from orchestrator.telemetry import clocks
from tests.e2e import _kubernetes
from tests.e2e._planes import Plane, wait_until
from tests.e2e.kube import clusters, kwok
from tests.e2e.test_kubernetes import Place, make_plane, shell
from tests.e2e.test_kubernetes_faults import Site, State, fake_pool, look, until

RBAC = "/apis/rbac.authorization.k8s.io/v1"


def other_ca() -> bytes:
    """Return the certificate of an authority that vouches for nobody here."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "another")])
    start = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    made = made.serial_number(1).not_valid_before(start).not_valid_after(start + dt.timedelta(days=36500))
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.fixture
def site(fr: clusters.Cluster, tmp_path: pathlib.Path) -> Iterator[Site]:
    """Give a namespace of a cluster that others use too."""
    found = Site(fr, tmp_path, _kubernetes.namespace(fr))
    yield found
    for one in found.made:
        one.close()
    _kubernetes.remove(fr, found.namespace)


def rules(rights: tuple[permissions.Right, ...], without: tuple[str, str] = ("", "")) -> list[dict[str, Any]]:
    """Return rights as rules of a role, but one (resource, verb)."""
    made = []
    for group, resource, verbs in rights:
        kept = verbs - ({without[1]} if resource == without[0] else set())
        if kept:
            made.append({"apiGroups": [group], "resources": [resource], "verbs": sorted(kept)})
    return made


def account(site: Site, name: str, without: tuple[str, str] = ("", ""), *, more: bool = False) -> str:
    """Make a service account with the stated rights (``more``: the optional ones too), but one; return a kubeconfig."""
    api, space = site.cluster.api, site.namespace
    api.create(f"/api/v1/namespaces/{space}/serviceaccounts", {"metadata": {"name": name}})
    subject = {"kind": "ServiceAccount", "name": name, "namespace": space}
    unique = f"{space}-{name}"
    for where, kind, given in (
        (f"{RBAC}/namespaces/{space}/", "Role", permissions.NAMESPACED + (permissions.OPTIONAL if more else ())),
        (f"{RBAC}/", "ClusterRole", permissions.CLUSTER),
    ):
        plural = f"{kind.lower()}s"
        api.create(f"{where}{plural}", {"metadata": {"name": unique}, "rules": rules(given, without)})
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": unique}
        binding = {"metadata": {"name": unique}, "roleRef": reference, "subjects": [subject]}
        api.create(f"{where}{kind.lower()}bindings", binding)
        granted(site, name, rules(given, without), everywhere=kind == "ClusterRole")
    path = f"/api/v1/namespaces/{space}/serviceaccounts/{name}/token"
    token = api.create(path, {"spec": {"expirationSeconds": 3600}})["status"]["token"]
    return with_user(site.cluster, {"token": token})


def granted(site: Site, name: str, given: list[dict[str, Any]], *, everywhere: bool) -> None:
    """Wait until the API server grants what rules say: it reads roles and bindings a moment after we wrote them."""
    for rule in given:
        for verb in rule["verbs"]:
            right = (rule["apiGroups"][0], rule["resources"][0], verb)
            wait_until(
                lambda right=right: _kubernetes.may(site.cluster, site.namespace, name, right, everywhere=everywhere),
                what=f"the right {right}",
            )


def with_user(cluster: clusters.Cluster, user: dict[str, Any]) -> str:
    """Return the cluster's kubeconfig with another user."""
    document = json.loads(cluster.kubeconfig.read_text())
    document["users"][0]["user"] = user
    return json.dumps(document)


def built(site: Site, kubeconfig: str, **more: Any) -> adapters.KubernetesAdapter:
    """Return an adapter that comes in by a kubeconfig."""
    context = backends.AdapterContext("b", [sites.Pool("p")], str(site.folder), "here", clocks.SystemClock().now)
    given = _kubernetes.settings(site.cluster, site.namespace, **more) | {"kubeconfig": kubeconfig}
    found = adapters.build(given, context)
    site.made.append(found)
    return found


def test_the_stated_rights_are_enough(site: Site) -> None:
    """With exactly the rights of the table, each verb of the port works."""
    adapter = built(site, account(site, "exact"))
    (offer,) = adapter.offers()
    assert offer.free.cpu_milli > 0
    ending = site.placement("echo hello; cat f", files=(("f", b"kept\n"),))
    staying = site.placement()
    for placement in (ending, staying):
        adapter.submit(placement)
    until(adapter, ending, State.ENDED)
    ref = backends.AttemptRef(ending.key)
    chunks, _ = adapter.read_logs(ref, cursor=None, node=None, limit=1000)
    assert b"".join(chunk.data for chunk in chunks) == b"hello\nkept\n"
    adapter.stop(backends.AttemptRef(staying.key), backends.Fence(ids.Term(1), 1), dt.timedelta(0))
    until(adapter, staying, State.ENDED)
    gang = site.placement("true", nodes=2)
    adapter.submit(gang)
    until(adapter, gang, State.ENDED)
    adapter._launches._swept_s = float("-inf")
    assert adapter.list_owned() == []
    adapter.forget(ref)
    until(adapter, ending, State.GONE)
    assert dict(adapter.identity().values)["kube-system"]


def test_pods_that_the_cluster_refuses_end_the_attempt(site: Site) -> None:
    """A Job whose pods a quota does not let in is given up in its time, in the cluster's words."""
    _kubernetes.no_pods(site.cluster, site.namespace)
    site.more = {"imagePullSeconds": 2}
    adapter, placement = site.adapter(), site.placement()
    adapter.submit(placement)
    seen = until(adapter, placement, State.ENDED)
    assert seen.outcome is not None
    assert (seen.outcome.kind, "exceeded quota: none" in seen.outcome.detail) == (jobs.OutcomeKind.NO_ROOM, True)


def test_what_no_node_takes_is_given_back(site: Site) -> None:
    """A pod, and a gang, that no node has room for are given up in their time, in the scheduler's words."""
    site.more = {"startSeconds": 10}
    adapter = site.adapter()
    asked = jobs.Resources(cpu_milli=1_000_000)
    found = [site.placement(resources=asked), site.placement(resources=asked, nodes=2)]
    for placement in found:
        adapter.submit(placement)
    for placement in found:
        seen = until(adapter, placement, State.ENDED)
        assert seen.outcome is not None
        assert (seen.outcome.kind, "Insufficient cpu" in seen.outcome.detail) == (jobs.OutcomeKind.NO_ROOM, True)


def test_an_image_that_does_not_come_ends_the_attempt(site: Site) -> None:
    """An image that no registry gives is waited for, and then given up in the kubelet's words."""
    site.more = {"imagePullSeconds": 2}
    adapter, placement = site.adapter(), site.placement()
    image = "127.0.0.1:1/none@sha256:" + "0" * 64
    adapter.submit(dataclasses.replace(placement, spec=dataclasses.replace(placement.spec, image=image)))
    seen = until(adapter, placement, State.ENDED)
    assert seen.outcome is not None
    assert seen.outcome.kind is jobs.OutcomeKind.START_FAILED
    assert "ImagePull" in seen.outcome.detail


@pytest.mark.parametrize("missing", [("jobs", "create"), ("pods/log", "get"), ("nodes", "list")])
def test_a_missing_right_is_named(site: Site, missing: tuple[str, str]) -> None:
    """Before any work the account is told which right it lacks."""
    adapter = built(site, account(site, "less", missing))
    with pytest.raises(errors.TransientError) as caught:
        adapter.offers()
    assert caught.value.code == "kubernetes.forbidden"
    assert f"{missing[1]} {missing[0]}" in caught.value.message
    assert "\n" not in caught.value.message


def test_credentials_that_do_not_do_are_one_line(site: Site) -> None:
    """A token that is none, and a CA that is another's, are each told with what to do."""
    refused = {
        "kubernetes.unauthorized": with_user(site.cluster, {"token": "not-a-token"}),
        "kubernetes.certificate": site.cluster.kubeconfig.read_text().replace(
            json.loads(site.cluster.kubeconfig.read_text())["clusters"][0]["cluster"]["certificate-authority-data"],
            base64.b64encode(other_ca()).decode(),
        ),
    }
    for code, text in refused.items():
        with pytest.raises(errors.TransientError) as caught:
            built(site, text).offers()
        assert caught.value.code == code
        assert "\n" not in caught.value.message
    elsewhere = dataclasses.replace(site, namespace="no-such-namespace")
    with pytest.raises(errors.TransientError, match="kubectl create namespace"):
        elsewhere.adapter().offers()


def test_every_object_is_taken_without_a_warning(site: Site) -> None:
    """Jobs, parts, claims and the fence pass a server-side dry run, strictly read, and nothing is warned of."""
    adapter = site.adapter()
    adapter.offers()
    wanted = adapter._wanted
    asked = jobs.Resources(500, 2**20, jobs.AcceleratorRequest(("nvidia-h100-sxm",), 2))
    classes = {"accelerators": {"nvidia-h100-sxm": {"deviceClass": "gpu.example.com", "selectors": ["true"]}}}
    pools = {"p": {"queue": "team", "alternatives": [{"deviceClass": "other.example.com"}], "nodeSelector": {"a": "b"}}}
    dra = _kubernetes.settings(site.cluster, site.namespace, **classes, pools=pools)
    many = dataclasses.replace(
        site.placement(nodes=3, resources=asked, files=(("x", b"1"),), env=(("A", "$(B)"),)),
        time_limit=dt.timedelta(seconds=60),
    )
    made = [
        render.objects(site.placement(), render.Grant(wanted, "b", "here")),
        render.objects(many, render.Grant(wanted, "b", "here", "nvidia-h100-sxm")),
        render.objects(many, render.Grant(type(wanted).read(dra), "b", "here", "nvidia-h100-sxm")),
        render.tombstone("01abc-1", "b", "here", wanted, "2026-11-22T12:00:00Z"),
    ]
    query = {"dryRun": "All", "fieldValidation": "Strict"}
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    for found in made:
        for path, one in (
            (adapter._cluster.jobs_path, found.job),
            *((adapter._cluster.maps_path, each) for each in found.maps),
            *((adapter._cluster.claims_path, each) for each in found.claims),
        ):
            answer = adapter._client._open("POST", path, query, dict(headers), one)
            assert answer.headers.get("Warning") is None, answer.headers
            answer.read()
            answer.release_conn()


def test_devices_of_a_class_are_allocated(fr: clusters.Cluster, site: Site) -> None:
    """A job that asks for accelerators gets devices that the scheduler allocated, and is counted with as many."""
    name = f"dra-{site.namespace}"
    pools = fake_pool(fr, name)
    kwok.add_device_class(fr, f"{name}.example.com", driver=f"{name}.example.com")
    kwok.add_devices(fr, name, driver=f"{name}.example.com", count=4, attributes={}, memory="80Gi")
    own = {"nvidia-h100-sxm": {"deviceClass": f"{name}.example.com"}}
    context = backends.AdapterContext(
        "b",
        [sites.Pool("p", accelerator="nvidia-h100-sxm", count=4)],
        str(site.folder),
        "here",
        clocks.SystemClock().now,
    )
    adapter = adapters.build(_kubernetes.settings(fr, site.namespace, accelerators=own, **pools), context)
    site.made.append(adapter)
    try:
        asked = jobs.Resources(0, 0, jobs.AcceleratorRequest(("nvidia-h100-sxm",), 3))
        placement = site.placement(resources=asked)
        assert adapter.offers()[0].free.accelerators == 4
        adapter.submit(placement)
        assert adapter.offers()[0].free.accelerators in (1, 4)
        until(adapter, placement, State.ENDED)
        too_many = site.placement(
            resources=dataclasses.replace(asked, accelerators=dataclasses.replace(asked.accelerators, count=5))
        )
        adapter.submit(too_many)
        seen = until(adapter, too_many, State.QUEUED)
        wait_until(lambda: "cannot allocate all claims" in look(adapter, too_many).detail, what=seen.detail)
    finally:
        fr.kubectl("delete", "deviceclass,resourceslice,node", "--ignore-not-found", f"{name}.example.com")
        fr.kubectl("delete", "node", name)


def test_an_admission_policys_words_are_the_reason(tmp_path: pathlib.Path, lone: clusters.Cluster) -> None:
    """What the cluster's own policy says of a Job is what a person reads, and the job waits for another place."""
    place = Place(lone)
    policy = {
        "metadata": {"name": "fridays"},
        "spec": {
            "matchConstraints": {
                "resourceRules": [
                    {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}
                ]
            },
            "validations": [{"expression": "false", "message": "no jobs on Fridays, says the bishop"}],
        },
    }
    selector = {"matchLabels": {"kubernetes.io/metadata.name": place.namespace}}
    binding = {
        "metadata": {"name": "fridays"},
        "spec": {
            "policyName": "fridays",
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": selector},
        },
    }
    group = "/apis/admissionregistration.k8s.io/v1"
    lone.api.create(f"{group}/validatingadmissionpolicies", policy)
    lone.api.create(f"{group}/validatingadmissionpolicybindings", binding)
    container = {"name": "c", "image": "x"}
    probe = {"metadata": {"name": "probe"}, "spec": {"template": {"spec": {"containers": [container]}}}}
    probe["spec"]["template"]["spec"]["restartPolicy"] = "Never"
    _kubernetes.until_refused(lone, f"/apis/batch/v1/namespaces/{place.namespace}/jobs", probe, "says the bishop")
    place.name, place.variable = "lone", "COMITY_SECRET_LONE"
    plane: Plane = make_plane(tmp_path, place)
    try:
        id = plane.submit(shell("monday", "true")).json["metadata"]["id"]

        def said() -> bool:
            return "says the bishop" in json.dumps(plane.job(id)["status"])

        wait_until(said, what="the bishop")
        assert "kubernetes.admission" in json.dumps(plane.job(id)["status"])
    finally:
        plane.close()
        for plural in ("validatingadmissionpolicybindings", "validatingadmissionpolicies"):
            lone.api.request("DELETE", f"{group}/{plural}/fridays")
        _kubernetes.remove(lone, place.namespace)
