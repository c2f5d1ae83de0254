"""What a cluster, or a kubeconfig, may be at its worst: one line that says which, and the loop goes on."""

import base64
import contextlib
import datetime as dt
import http.server
import json
import pathlib
import ssl
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from orchestrator.domain import errors
from orchestrator.ports import backends
from orchestrator.telemetry import clocks
from tests.e2e import _kubernetes
from tests.e2e._planes import Plane, wait_until
from tests.e2e.kube import certificates, clusters
from tests.e2e.test_kubernetes import Place, shell
from tests.e2e.test_kubernetes_access import built, with_user
from tests.e2e.test_kubernetes_faults import Site, State, until

LOG_BYTES = 4 * 2**20


@pytest.fixture
def site(fr: clusters.Cluster, tmp_path: pathlib.Path) -> Iterator[Site]:
    """Give a namespace of a cluster that others use too."""
    found = Site(fr, tmp_path, _kubernetes.namespace(fr))
    yield found
    for one in found.made:
        one.close()
    _kubernetes.remove(fr, found.namespace)


def expired(cluster: clusters.Cluster) -> dict[str, str]:
    """Return a user whose certificate the cluster's own authority signed, for yesterday."""
    authority = serialization.load_pem_private_key((cluster.folder / "pki" / "ca.key").read_bytes(), None)
    assert isinstance(authority, ec.EllipticCurvePrivateKey)
    issuer = x509.load_pem_x509_certificate((cluster.folder / "pki" / "ca.crt").read_bytes())
    mine = ec.generate_private_key(ec.SECP256R1())
    end = clocks.SystemClock().now() - dt.timedelta(hours=1)
    name = [(x509.NameOID.ORGANIZATION_NAME, "system:masters"), (x509.NameOID.COMMON_NAME, "late")]
    made = x509.CertificateBuilder().subject_name(x509.Name([x509.NameAttribute(*part) for part in name]))
    made = made.issuer_name(issuer.subject).public_key(mine.public_key()).serial_number(7)
    made = made.not_valid_before(end - dt.timedelta(days=1)).not_valid_after(end)
    made = made.add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    pem = serialization.Encoding.PEM
    key = mine.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    signed = made.sign(authority, hashes.SHA256()).public_bytes(pem)
    return {
        "client-certificate-data": base64.b64encode(signed).decode(),
        "client-key-data": base64.b64encode(key).decode(),
    }


def test_an_expired_certificate_is_told_with_its_day(site: Site) -> None:
    """A certificate of the cluster's own authority that has ended: one line, until when it was good, what to do."""
    if not site.cluster.own:
        pytest.skip("the authority of this cluster is not ours")
    user = expired(site.cluster)
    with pytest.raises(errors.TransientError) as caught:
        built(site, with_user(site.cluster, user)).offers()
    assert caught.value.code in ("kubernetes.unauthorized", "kubernetes.tls")
    end = x509.load_pem_x509_certificate(base64.b64decode(user["client-certificate-data"])).not_valid_after_utc
    assert f"valid until {end:%Y-%m-%d %H:%M}Z" in caught.value.message
    assert "make a new kubeconfig" in caught.value.message
    assert "\n" not in caught.value.message


def test_a_kubeconfig_that_is_no_good_is_one_line_to_a_person(tmp_path: pathlib.Path, fr: clusters.Cluster) -> None:
    """Missing, unreadable, of another kind, or of a cluster that is nowhere: `backend check` says which."""
    place = Place(fr)
    nowhere = json.loads(fr.kubeconfig.read_text())
    nowhere["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:9"
    given = {"EMPTY": "", "NOISE": "\x01\x02[", "LIST": "[1, 2]", "NOWHERE": json.dumps(nowhere), "ABSENT": None}
    values = {f"COMITY_SECRET_{name}": text for name, text in given.items() if text is not None}
    plane = Plane(tmp_path, environment={**values, place.variable: fr.kubeconfig.read_text()})
    said = {}
    try:
        plane.init()
        plane.start()
        assert plane.put(place.declared()).status in (200, 201)
        for name in given:
            document = place.declared()
            document["metadata"]["name"] = name.lower()
            document["spec"]["settings"]["kubeconfig"] = {"fromEnv": f"COMITY_SECRET_{name}"}
            answer = plane.put(document)
            if answer.status in (200, 201) and name != "NOWHERE":
                said[name] = json.dumps(plane.call("POST", f"/v1/backends/{name.lower()}:check").json)
            elif answer.status in (200, 201):
                done = plane.shell.run(f"comity backend check {name.lower()}")
                assert done.returncode != 0, name
                said[name] = done.stderr.strip() or done.stdout.strip()
            else:
                said[name] = json.dumps(answer.json)
        for name, text in said.items():
            assert "kubeconfig" in text or "127.0.0.1:9" in text, (name, text)
            assert "Traceback" not in text
        assert "127.0.0.1:9" in said["NOWHERE"]
        answer = plane.call("POST", "/v1/plans", shell("beside", "true"))
        allowed = {one["backend"] for one in answer.json["sites"] if one["allowed"]}
        assert place.name in allowed, "the others do not notice"
        assert "Traceback" not in plane.log
    finally:
        plane.close()
        _kubernetes.remove(fr, place.namespace)


class Barista(http.server.BaseHTTPRequestHandler):
    """An admission webhook that refuses."""

    def do_POST(self) -> None:
        """Answer a review."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = {"message": "no jobs before coffee, says the barista\nat length", "code": 403}
        answer = {"uid": asked["request"]["uid"], "allowed": False, "status": status}
        body = json.dumps({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": answer}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def webhook(site: Site) -> Iterator[http.server.HTTPServer]:
    """Have the Jobs of a namespace reviewed by the barista."""
    authority = certificates.Authority(site.folder / "barista", "barista")
    pair = authority.issue("barista", user="barista", addresses=[site.cluster.outer_address])
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pair.certificate, pair.key)
    server = http.server.ThreadingHTTPServer((site.cluster.outer_address, 0), Barista)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    group, name = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", site.namespace
    rule = {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}
    bundle = base64.b64encode(authority.pair.certificate.read_bytes()).decode()
    hook = {
        "name": "coffee.example.com",
        "clientConfig": {"url": f"https://{site.cluster.outer_address}:{server.server_port}/", "caBundle": bundle},
        "rules": [rule],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": site.namespace}},
        "admissionReviewVersions": ["v1"],
        "sideEffects": "None",
        "timeoutSeconds": 10,
    }
    site.cluster.api.create(group, {"metadata": {"name": name}, "webhooks": [hook]})
    try:
        yield server
    finally:
        site.cluster.api.request("DELETE", f"{group}/{name}")
        server.shutdown()
        server.server_close()
        thread.join()


def test_a_webhooks_refusal_is_told_in_its_words(site: Site) -> None:
    """What a webhook says is passed on as one line; one that is gone is the cluster's fault, and no refusal."""
    if not site.cluster.own:
        pytest.skip("the cluster may not reach this machine")
    adapter = site.adapter()
    adapter.observe([])
    with webhook(site) as server:
        seen: list[errors.BackendError] = []

        def refused() -> bool:
            try:
                adapter.submit(site.placement("true"))
            except errors.BackendError as error:
                seen.append(error)
            return bool(seen)

        wait_until(refused, what="a webhook that is asked")
        assert seen[0].code == "kubernetes.admission"
        assert "no jobs before coffee, says the barista at length" in seen[0].message
        server.shutdown()
        server.server_close()
        with pytest.raises(errors.TransientError) as caught:
            adapter.submit(site.placement("true"))
        assert caught.value.code == "kubernetes.server"
        assert "coffee.example.com" in caught.value.message


def test_a_log_that_is_huge_and_binary_is_read_to_its_end(site: Site) -> None:
    """Bytes that are no text, in lines without an end, are read piece by piece; each piece keeps to its bound."""
    adapter = site.adapter()
    placement = site.placement(f"head -c {LOG_BYTES} /dev/urandom; printf '\\033[2J\\0end'")
    adapter.submit(placement)
    until(adapter, placement, State.ENDED)
    cursor, total, last = None, 0, b""
    for _ in range(200):
        chunks, cursor = adapter.read_logs(backends.AttemptRef(placement.key), cursor=cursor, node=None, limit=2**20)
        size = sum(len(chunk.data) for chunk in chunks)
        assert size <= 2**20
        assert len(cursor) < 1000
        if not chunks:
            break
        total, last = total + size, (last + chunks[-1].data)[-100:]
    # A kubelet keeps so much of a log and no more (containerLogMaxSize); what it keeps comes, its end at least.
    assert total > 2**20
    assert b"\0end" in last


def test_a_status_that_nobody_understands_stops_nothing(site: Site) -> None:
    """Conditions of unknown kinds, long words and marks that are no marks: the attempt is told as it is."""
    adapter = site.adapter()
    odd, other = site.placement(), site.placement("exit 3")
    adapter.submit(odd)
    until(adapter, odd, State.RUNNING)
    path = f"/apis/batch/v1/namespaces/{site.namespace}/jobs/{odd.key}"
    junk = [
        {"type": f"example.com/Odd{number}", "status": "Unknown", "reason": "What\tIs This?", "message": "\0x\n" * 9000}
        for number in range(20)
    ]
    for part, body in (
        ("/status", {"status": {"conditions": junk}}),
        ("", {"metadata": {"annotations": {"comity.dev/accelerators": "many", "comity.dev/kept": "/../..//"}}}),
        ("", {"metadata": {"labels": {"comity.dev/attempt": "not-a-number"}}}),
    ):
        status, answer = site.cluster.api.request("PATCH", f"{path}{part}", body, kind="application/merge-patch+json")
        assert status == 200, answer
    for look in (adapter, site.adapter()):
        assert until(look, odd, State.RUNNING).outcome is None
        assert len(look.offers()) == 1
        assert odd.key in {ref.key for ref in look.list_owned()}
    adapter.submit(other)
    seen = until(adapter, other, State.ENDED)
    assert seen.outcome is not None
    assert seen.outcome.exit_code == 3
