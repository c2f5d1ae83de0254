"""Lies of an author of a bundle, who has no key of the log."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import Any

from orchestrator.bootstrap import verifications
from orchestrator.evidence import bundles, verification
from tests.attack import lies, stage
from tests.golden.bundles import samples

WHO = lies.Attacker.BUNDLE


@lies.caught(WHO, "a whole bundle, signed with a key of their own", by="signer unknown (exit 3)")
def own_key(found: stage.Stage) -> lies.Seen:
    """Bring another installation's bundle; it is sound in itself."""
    report = found.verified(samples.sample().value())
    return lies.Seen(
        not report.verified and report.signer.word.value == "unknown", f"signer: {report.signer.word.value}"
    )


@lies.caught(WHO, "changes an opened value", by="the signed commitment")
def opened(found: stage.Stage) -> lies.Seen:
    """Turn the answer about a site."""

    def change(value: Any) -> None:
        site = value["statements"][0]["disclosures"][0]["value"][0]
        site["allowed"] = not site["allowed"]

    return _changed(found, change)


@lies.caught(WHO, "leaves out what was observed of an attempt", by="each placement needs its two statements")
def left_out(found: stage.Stage) -> lies.Seen:
    """Take the execution away."""
    return _changed(found, lambda value: value["statements"].pop())


@lies.caught(WHO, "leaves out an entry of the journal", by="statements name all entries of the job")
def entry(found: stage.Stage) -> lies.Seen:
    """Take the last entry away."""
    return _changed(found, lambda value: value["entries"].pop())


@lies.caught(WHO, "moves the time of an entry", by="the entry's link, which the signed root includes")
def moved(found: stage.Stage) -> lies.Seen:
    """Let it have happened a year ago."""

    def change(value: Any) -> None:
        entry = value["entries"][-1]["entry"]
        entry["at"] = entry["at"].replace("20", "19", 1)

    return _changed(found, change)


@lies.caught(WHO, "swaps the recorded rules for others", by="records are held to their digest")
def rules(found: stage.Stage) -> lies.Seen:
    """Empty a record."""
    return _changed(found, lambda value: value["records"].update({next(iter(value["records"])): {}}))


@lies.caught(WHO, "brings a bundle of a thousand brackets, to fell the reader", by="bounds on bytes, depth and members")
def deep(found: stage.Stage) -> lies.Seen:
    """Nest."""
    try:
        verifications.verify(b"[" * 1000 + b"]" * 1000, verification.Trust())
    except bundles.BundleError:
        return lies.Seen(True, "not read (BundleError)")
    return lies.Seen(False, "read")


@functools.cache
def _bundle(found: stage.Stage) -> Any:
    placed = found.judged("paris", sovereignty={"countries": {"allow": ["FR"]}})
    found.ended(placed.job)
    value = found.bundle(placed.job).body
    assert found.verified(value).verified
    return value


def _changed(found: stage.Stage, change: Callable[[Any], Any]) -> lies.Seen:
    value = copy.deepcopy(_bundle(found))
    change(value)
    report = found.verified(value)
    words = f"signature: {report.signature.word.value}; included: {report.included.word.value}"
    return lies.Seen(report.wrong and not report.verified, words)
