"""The keeper of the trust list: what the file says is in force, what fails keeps what was, everything is told."""

import datetime as dt

import yaml

from orchestrator.bootstrap import trusts
from orchestrator.ports import stores
from orchestrator.testing import fakes
from tests import tokens

ISSUER = tokens.Issuer()


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
    assert (kept.verifier().problem, kept.look(), log.lines, list(store.entries(subject="trust"))) == (
        None,
        False,
        [],
        [],
    )


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
    told = [link.entry.body for link in store.entries(subject="trust")]
    assert told[0]["trusted"][0] == {
        "id": ISSUER.id, "kinds": list(ISSUER.kinds), "keys": ["k1"], "by": "A. Martin", "why": "accredited",
    }  # fmt: skip
    assert told[1]["trusted"] == []
    assert told[1]["revoked"] == [
        {"issuer": ISSUER.id, "from": "2026-11-22", "by": "B", "why": "withdrawn", "claim": "hds-1"}
    ]
    write(path)
    kept.look()
    assert len([link.entry.body for link in store.entries(subject="trust")][2]["revokedNoMore"]) == 1


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
    assert len(list(store.entries(subject="trust"))) == 1


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


def test_a_restart_names_nobody_as_new(tmp_path, store, log):
    """What was in force before the start is no news; what changed while nothing ran is."""
    path, other = tmp_path / "trust.yaml", tokens.Issuer("https://other.example")
    write(path)
    keeper(path, store, log)
    keeper(path, store, log)
    assert [link.entry.kind for link in store.entries(subject="trust")] == ["trust.in-force"]
    gone = {"issuer": ISSUER.id, "claim": "hds-1", "from": dt.date(2026, 11, 22), "by": "B", "why": "withdrawn"}
    write(path, gone, issuers=(ISSUER, other))
    keeper(path, store, log)
    _, body = [link.entry.body for link in store.entries(subject="trust")]
    assert ([one["id"] for one in body["trusted"]], len(body["revoked"]), body["dropped"]) == ([other.id], 1, [])


def test_an_issuer_that_may_certify_more_is_new(tmp_path, store, log):
    """The same id with other kinds, or another key, is a change that a restart tells."""
    path = tmp_path / "trust.yaml"
    for changed in ({"kinds": ("location",)}, {"kinds": ("location", "seal")}, {"key": tokens.Issuer().key}):
        write(path, issuers=(tokens.Issuer(**({"key": ISSUER.key} | changed)),))
        keeper(path, store, log)
    told = [link.entry.body for link in store.entries(subject="trust")]
    assert [[one["id"] for one in body["trusted"]] for body in told] == [[ISSUER.id]] * 3


def test_a_list_that_went_while_nothing_ran_is_told(tmp_path, store, log):
    """The file is gone at the next start: nobody is trusted any more, and the journal says who was."""
    path = tmp_path / "trust.yaml"
    write(path)
    keeper(path, store, log)
    path.unlink()
    keeper(path, store, log)
    assert [link.entry.body["dropped"] for link in store.entries(subject="trust")] == [[], [ISSUER.id]]


def test_what_was_noted_and_cannot_be_read_is_told_anew(tmp_path, store, log):
    """Rather twice than never."""
    path = tmp_path / "trust.yaml"
    write(path)
    keeper(path, store, log)
    stored = store.document("TrustInForce", "installation", tenant="")
    store.commit(stores.Changes(documents=(stores.Document(stored.kind, stored.name, "", "[]", stored.version),)))
    keeper(path, store, log)
    assert [
        len(link.entry.body["trusted"])
        for link in store.entries(subject="trust")
        if link.entry.kind == "trust.in-force"
    ] == [
        1,
        1,
    ]
