"""The keeper of the trust list: what the file says is in force, what fails keeps what was, everything is told."""

import datetime as dt

import pytest
import yaml

from orchestrator.bootstrap import trusts
from orchestrator.ports import stores
from orchestrator.store import memory
from orchestrator.testing import fakes
from tests import tokens

ISSUER = tokens.Issuer()


class Log:
    def __init__(self):
        self.lines = []

    def __getattr__(self, level):
        return lambda event, **more: self.lines.append((level, event, more))


@pytest.fixture
def store():
    return memory.MemoryStore(fakes.VirtualClock())


@pytest.fixture
def log():
    return Log()


def keeper(path, store, log):
    clock = fakes.VirtualClock()
    return trusts.TrustKeeper(path, audience=tokens.HERE, store=store, clock=clock, nudge=lambda: None, log=log)


def write(path, *revoked, issuers=(ISSUER,)):
    rows = [
        {
            "id": each.id,
            "kinds": list(each.kinds),
            "by": "A. Martin",
            "why": "accredited",
            "keys": [{"id": each.kid, "jwk": each.key.as_dict(private=False)}],
        }
        for each in issuers
    ]
    path.write_text(yaml.safe_dump({"asOf": "2026-11-22", "issuers": rows, "revoked": list(revoked)}))


def test_no_file_trusts_nobody(tmp_path, store, log):
    """Nothing configured, nothing journaled, nothing to tell."""
    kept = keeper(tmp_path / "trust.yaml", store, log)
    assert kept.verifier().trusted.issuers == ()
    assert (kept.verifier().problem, kept.look(), log.lines, list(store.entries())) == (None, False, [], [])


def test_who_is_trusted_and_taken_back_is_on_the_record(tmp_path, store, log):
    """With whose word and why; the verifier is another one, so every site is made again."""
    path = tmp_path / "trust.yaml"
    write(path)
    kept = keeper(path, store, log)
    first = kept.verifier()
    assert [each.id for each in first.trusted.issuers] == [ISSUER.id]
    assert (kept.look(), kept.verifier() is first) == (False, True)
    gone = {"issuer": ISSUER.id, "claim": "hds-1", "from": dt.date(2026, 11, 22), "by": "B", "why": "withdrawn"}
    write(path, gone)
    assert kept.look() is True
    assert kept.verifier() is not first
    told = [link.entry.body for link in store.entries()]
    assert told[0]["trusted"][0] == {
        "id": ISSUER.id, "kinds": list(ISSUER.kinds), "keys": ["k1"], "by": "A. Martin", "why": "accredited",
    }  # fmt: skip
    assert told[1]["trusted"] == []
    assert told[1]["revoked"] == [
        {"issuer": ISSUER.id, "from": "2026-11-22", "by": "B", "why": "withdrawn", "claim": "hds-1"}
    ]
    write(path)
    kept.look()
    assert len([link.entry.body for link in store.entries()][2]["revokedNoMore"]) == 1


def test_a_file_that_fails_or_vanishes_keeps_the_last_good_list(tmp_path, store, log):
    """It is a problem that the control plane shows, and over once the file is mended."""
    path = tmp_path / "trust.yaml"
    write(path)
    kept = keeper(path, store, log)
    for spoil in (lambda: path.write_text("issuers: 7"), path.unlink):
        spoil()
        assert kept.look() is True
        assert [each.id for each in kept.verifier().trusted.issuers] == [ISSUER.id]
        assert kept.verifier().problem
        assert ("error", "trust.failed") in [line[:2] for line in log.lines]
    write(path)
    assert kept.look() is True
    assert kept.verifier().problem is None
    assert len(list(store.entries())) == 1


def test_a_file_that_fails_at_the_start_trusts_nobody(tmp_path, store, log):
    """There is no last good list then."""
    path = tmp_path / "trust.yaml"
    path.write_text("issuers: 7")
    kept = keeper(path, store, log)
    assert (kept.verifier().trusted.issuers, bool(kept.verifier().problem)) == ((), True)


def test_a_full_store_does_not_stop_a_list(tmp_path, store, log, monkeypatch):
    """What is in force comes first, the record of it second, and loudly."""

    def full(changes):
        raise stores.StoreFullError("no room")

    monkeypatch.setattr(store, "commit", full)
    write(tmp_path / "trust.yaml")
    assert keeper(tmp_path / "trust.yaml", store, log).verifier().trusted.issuers
    assert ("warning", "trust.not-journaled", {"error": "StoreFullError"}) in log.lines
