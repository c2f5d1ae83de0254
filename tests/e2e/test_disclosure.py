"""Jobs with personal data, and networks of strangers: refused for the right reasons, and nothing of them was sent.

What a network received is every byte that came by a wire before it. The control: the same job without personal data is
placed, and what it carries is seen in those bytes, so that the look is not a look past it.
"""

import base64
import pathlib
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.e2e import _disclosure
from tests.e2e._planes import Plane, document, job, wait_until

PATIENCE_S = 300.0
CLASSES = ("health", "personal")
WHY: Mapping[tuple[str, str], frozenset[str]] = {
    ("health", "FR"): frozenset({"fr-hds.certificate"}),
    ("health", "DE"): frozenset({"fr-hds.certificate"}),
    ("health", "US"): frozenset({"fr-hds.certificate", "fr-hds.location", "eu-gdpr.transfer:US"}),
    ("personal", "FR"): frozenset({"accepts.data-class:personal"}),
    ("personal", "DE"): frozenset({"accepts.data-class:personal"}),
    ("personal", "US"): frozenset({"accepts.data-class:personal", "eu-gdpr.transfer:US"}),
}
"""By class of the data and country of the site: everything that forbids it."""


class Case:
    """One network, and a control plane that may use nothing else."""

    def __init__(self, network: _disclosure.Network, folder: pathlib.Path) -> None:
        self.network = network
        self.words: dict[str, str] = {}
        """What was secret of the jobs that were refused, and must not be seen."""
        self.plane = Plane(folder, environment={_disclosure.KEY: network.key})
        self.plane.init()
        (self.plane.shell.folder / "comity.d" / "3-backend-local.yaml").unlink()
        self.plane.start()
        facts = {"source": "written for this test", "asOf": "2026-11-01", "assurance": "declared"}
        stranger = {"legalCountry": "FR", "ultimateParentHq": "FR", "facts": facts}
        for given in (document("Operator", _disclosure.SITE, stranger), network.backend):
            answer = self.plane.put(given)
            assert answer.status in (200, 201), answer
        self.plane.until_reached(_disclosure.SITE, seconds=PATIENCE_S)

    def job(self, what: str, data: object) -> tuple[dict[str, Any], dict[str, str]]:
        """Return a job with a word of its own in each of its parts, and the words by part."""
        words = {part: f"{part}-{secrets.token_hex(8)}>?~" for part in ("command", "env", "file")}
        words["name"] = f"{what}-{secrets.token_hex(6)}"
        given = job(words["name"], env={"TOLD": words["env"]}, data=data)
        given["spec"] |= self.network.work(words["command"])
        if "file" in self.network.carries or data != "none":
            content = base64.b64encode(words["file"].encode()).decode()
            given["spec"]["files"] = {**given["spec"].get("files", {}), "note.txt": {"content": content}}
        return given, words

    def private(self, kind: str) -> dict[str, Any]:
        """Return a job that reads data of a class about people in France; its words are remembered."""
        name = f"patients-{secrets.token_hex(6)}"
        owner = {"controller": {"operator": "me", "country": "FR"}, "owner": f"{name}@example.org"}
        about = {"classes": [kind], "subjects": ["FR"], "counts": {"persons": 5, "sensitive": 5, "window": "365d"}}
        answer = self.plane.put(document("DataSet", name, owner | about | {"location": {"country": "FR"}}))
        assert answer.status in (200, 201), answer
        given, words = self.job(kind, {"reads": [{"name": name}]})
        self.words |= {f"{kind} {part}": word for part, word in (words | {"data set": name}).items()}
        return given

    def submit(self, given: Mapping[str, Any]) -> str:
        """Submit a job; return its id."""
        answer = self.plane.submit(given)
        assert answer.status == 202, answer
        return str(answer.json["id"])

    def unplaceable(self, id: str) -> bool:
        """Say whether a job waits because no site may have it."""
        return any(one["type"] == "Unplaceable" for one in self.plane.job(id)["status"]["conditions"])


@pytest.fixture(params=sorted(_disclosure.NETWORKS))
def case(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> Iterator[Case]:
    """Give each network with a control plane of its own."""
    with _disclosure.NETWORKS[request.param](request) as network:
        made = Case(network, tmp_path)
        yield made
        made.plane.close()


def _refusals(sites: Any) -> dict[str, frozenset[str]]:
    """Return what rules and terms forbid at each site."""
    return {
        one["site"]: frozenset(
            reason["code"]
            for reason in one["reasons"]
            if reason["effect"] == "deny" and not reason["code"].startswith("fit.")
        )
        for one in sites
        if not one["allowed"]
    }


def test_personal_data_is_refused_and_nothing_of_it_is_sent(case: Case) -> None:
    """Planned and submitted: refused at each site by law and terms; a job without such data is sent, and is seen."""
    plane, countries = case.plane, case.network.countries
    refused = []
    for kind in CLASSES:
        given = case.private(kind)
        wanted = {f"{_disclosure.SITE}/{name}": WHY[kind, country] for name, country in countries.items()}
        plan = plane.call("POST", "/v1/plans", given)
        assert (plan.status, _refusals(plan.json["sites"])) == (200, wanted), plan
        refused.append(case.submit(given))
    wait_until(lambda: all(map(case.unplaceable, refused)), seconds=PATIENCE_S, what="refusals")
    given, told = case.job("free", "none")
    done = plane.ended(case.submit(given), seconds=PATIENCE_S)
    assert done["status"]["phase"] == "SUCCEEDED", done
    seen = case.network.seen
    found = {line.split(":")[0] for line in _disclosure.shown(told, seen)}
    assert case.network.carries <= found, f"of a job that was sent only {found} is seen"
    assert _disclosure.shown(case.words, seen) == []
    for id in refused:
        assert plane.job(id)["status"]["attempts"] == []
        assert id.encode().lower() not in seen.lower()


SEEN = "pa-tient>?~"
SENT = {
    "plain": b"x=pa-tient>?~&",
    "url": b"x=pa-tient%3e%3F~&",
    "upper": b"PA-TIENT>?~",
    "hex": SEEN.encode().hex().upper().encode(),
    "json": b'{"x": "pa-tient>?~"}',
    "utf-16": SEEN.encode("utf-16-le"),
    **{f"base64 at {front}": base64.b64encode(b"abc"[:front] + SEEN.encode() + b"more") for front in range(3)},
    **{f"base64url at {front}": base64.urlsafe_b64encode(b"abc"[:front] + SEEN.encode()) for front in range(3)},
    **{f"twice at {front}": base64.b64encode(b"x" * front + base64.b64encode(SEEN.encode())) for front in range(3)},
}


@pytest.mark.parametrize("form", sorted(SENT))
def test_a_word_is_seen_in_each_of_its_forms(form: str) -> None:
    """Plain, URL-encoded, hex, base64 wherever it begins and once more around: the look finds what was sent so."""
    sent = b"before " + SENT[form] + b" behind"
    assert _disclosure.shown({"word": SEEN}, sent)
    assert not _disclosure.shown({"word": "another>?~"}, sent)
