"""A kubeconfig that cannot be used, or that would read this machine, is refused in one line that says why."""

import base64
from typing import Any

import pytest

from backends.kubernetes import adapter, client, errors, kubeconfigs
from orchestrator.domain import errors as port_errors
from orchestrator.domain import sites
from orchestrator.ports import backends
from orchestrator.settings import adapters
from tests.unit.backends.kubernetes import liar as liars
from tests.unit.backends.kubernetes import objects

SERVER = "https://kube.example:6443"
PEM = base64.b64encode(b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n").decode()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no kubeconfig"),
        ("a: [b", "no YAML, line 1"),
        ("[" * 1500, "no YAML"),
        ("clusters: 7", "no kubeconfig"),
        (liars.kubeconfig(SERVER).replace("current-context: c\n", ""), "no current-context"),
        (liars.kubeconfig(SERVER).replace("user: u", "user: w"), "no users named 'w'"),
        (liars.kubeconfig("http://kube.example"), "https only"),
        (liars.kubeconfig("https://u:p@kube.example"), "no plain URL"),
        (liars.kubeconfig(SERVER, **{"insecure-skip-tls-verify": True}), "anybody could answer"),
        (liars.kubeconfig(SERVER, **{"certificate-authority": "/etc/shadow"}), "names a file of the server"),
        (liars.kubeconfig(SERVER, **{"certificate-authority-data": "!!"}), "no PEM"),
        (liars.kubeconfig(SERVER, user={"tokenFile": "/state/admin.token"}), "tokenFile names a file"),
        (liars.kubeconfig(SERVER, user={"client-key": "/k", "token": "t"}), "client-key names a file"),
        (liars.kubeconfig(SERVER, user={"client-certificate-data": PEM, "client-key-data": PEM}), "no certificate"),
        (liars.kubeconfig(SERVER, user={"username": "a", "password": "b"}), "1.19"),
        (liars.kubeconfig(SERVER, user={"auth-provider": {"name": "gcp"}}), "exec plugins"),
        (liars.kubeconfig(SERVER, user={}), "no token"),
        (liars.kubeconfig(SERVER, user={"exec": {"command": "/bin/evil"}}), "COMITY_KUBERNETES_EXEC"),
    ],
)
def test_each_fault_has_its_sentence(text: str, words: str) -> None:
    """The sentence says what is wrong."""
    with pytest.raises(kubeconfigs.KubeconfigError, match=words):
        kubeconfigs.read(text, None, ())


def test_a_secret_is_never_repeated() -> None:
    """What is wrong with a kubeconfig is said without its token."""
    text = liars.kubeconfig("http://kube.example", user={"token": "very-secret"})
    with pytest.raises(adapters.SettingsError) as caught:
        adapter.build({"kubeconfig": text, "namespace": "jobs", "jurisdiction": "FR"}, context("/x"))
    assert "very-secret" not in str(caught.value)
    assert "kubeconfig: " in str(caught.value)


def test_a_program_that_is_allowed_may_be_started() -> None:
    """The server's environment names the exec plugins that it starts."""
    text = liars.kubeconfig(SERVER, user={"exec": {"command": "aws"}})
    assert kubeconfigs.read(text, None, ("aws",)).exec_command == "aws"


def context(folder: str, *pools: str) -> backends.AdapterContext:
    return backends.AdapterContext("gra", [sites.Pool(name) for name in pools], folder, "here", lambda: objects.NOW)


def ask(kubeconfig: str, folder: Any) -> port_errors.BackendError:
    made = adapter.build({"kubeconfig": kubeconfig, "namespace": "jobs", "jurisdiction": "FR"}, context(str(folder)))
    try:
        with pytest.raises(port_errors.BackendError) as caught:
            made.offers()
        return caught.value
    finally:
        made.close()


def test_nobody_there_is_said_at_once(tmp_path: Any) -> None:
    """A server that nobody listens for is unreachable, without effect."""
    found = ask(liars.kubeconfig("http://127.0.0.1:9"), tmp_path)
    assert (found.code, found.effects) == ("kubernetes.unreachable", port_errors.SideEffects.NONE)
    assert "refused" in found.message


def test_an_exec_plugin_that_fails_is_named(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plugin is named, and what to do."""
    monkeypatch.setenv(client.EXEC_VARIABLE, "/bin/false")
    plugin = {"command": "/bin/false", "apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never"}
    found = ask(liars.kubeconfig(SERVER, user={"exec": plugin}), tmp_path)
    assert (found.code, "run it by hand" in found.message) == ("kubernetes.exec", True)


NO_RIGHT = 'jobs.batch is forbidden: User "u" cannot list resource "jobs" in API group "batch" in the namespace "jobs"'


@pytest.mark.parametrize(
    ("status", "message", "code", "words"),
    [
        (401, "Unauthorized", "unauthorized", "new kubeconfig"),
        (403, NO_RIGHT, "forbidden", "may not list jobs"),
        (403, "exceeded quota: q, requested: pods=1, used: pods=4, limited: pods=4", "quota", "used up"),
        (
            400,
            'admission webhook "w.example" denied the request: no cats on Fridays',
            "admission",
            "no cats on Fridays",
        ),
        (422, "ValidatingAdmissionPolicy 'p' with binding 'b' denied request: never", "admission", "never"),
        (404, 'namespaces "jobs" not found', "not-found", "jobs"),
        (413, "", "too-large", "size"),
        (422, "Job is invalid: spec.template: Required", "invalid", "Required"),
        (429, "slow down", "busy", "later"),
        (500, "etcdserver: leader changed", "server", "leader changed"),
    ],
)
def test_each_answer_means_one_thing(status: int, message: str, code: str, words: str) -> None:
    """The cluster's words are passed on, under a code of ours."""
    found = errors.of_status(errors.StatusError(status, "", message), "create Job x")
    assert found.code == f"kubernetes.{code}"
    assert words in found.message


def test_only_a_servers_own_fault_leaves_it_open_what_happened() -> None:
    """A request that was refused had no effect; one that failed inside may have had one."""
    effects = {
        code: errors.of_status(errors.StatusError(code, "", ""), "x").effects for code in (401, 403, 404, 422, 429)
    }
    assert set(effects.values()) == {port_errors.SideEffects.NONE}
    assert errors.of_status(errors.StatusError(500, "", ""), "x").effects is port_errors.SideEffects.UNKNOWN


def test_a_strangers_words_are_one_short_printable_line() -> None:
    """Control characters, line ends and length are the stranger's, not ours."""
    found = errors.plain("a\nb\x1b[31m" + "c" * 10_000)
    assert found.startswith("a b [31m")
    assert len(found) == errors.TEXT_MAX
    assert errors.plain({"no": "text"}) == ""


def test_a_pool_that_is_not_declared_is_named() -> None:
    """Settings of a pool that the document does not have are a mistake, and said so."""
    given = {"inCluster": True, "namespace": "jobs", "jurisdiction": "FR", "pools": {"x": {}}}
    with pytest.raises(adapters.SettingsError, match=r"pools\.x"):
        adapter.build(given, context("/x", "p"))
