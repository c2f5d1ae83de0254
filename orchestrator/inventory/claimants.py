"""Holds signed claims against the documents that carry them: who is meant, what they say, what they prove.

Called where the world is made, once a version of documents and trust list; every signature is checked once. The
outcome is plain and dated (``domain.claims``): rules judge it by the day, so that an answer ends when a claim does.

A fact claim proves what it states, equal to the document; a stamp counts as certified only when claims cover every
fact that stands below it. A pool's own value is covered by a claim that says just that value.
"""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Iterable, Mapping
from typing import Any

from orchestrator.domain import claims, facts, sites, tenants, trust
from orchestrator.evidence import claims as tokens
from orchestrator.evidence import profiles
from orchestrator.inventory import coverage, presentations, stated

REMEMBERED_MAX = 20_000
"""Claims whose verification is remembered."""


class Claimants:
    """Verifies the claims of documents by one trust list. Thread-safe; another list is another object.

    ``audience`` is this control plane's name for issuers; ``problem`` says what is wrong with the list's file.
    """

    def __init__(
        self, trusted: trust.TrustList | None = None, *, audience: str = "", problem: str | None = None
    ) -> None:
        self.trusted = trusted or trust.TrustList()
        self.audience = audience
        self.problem = problem
        self._opened: dict[str, tokens.Opened] = {}
        self._lock = threading.Lock()

    def opened(self, text: str) -> tokens.Opened:
        """Return one claim, verified once."""
        with self._lock:
            known = self._opened.get(text)
        if known is None:
            known = tokens.read(text, self.trusted, self.audience)
            with self._lock:
                if len(self._opened) >= REMEMBERED_MAX:
                    self._opened.clear()
                self._opened[text] = known
        return known

    def operator(self, operator: sites.Operator) -> tuple[sites.Operator, tuple[claims.Claim, ...]]:
        """Return an operator with what claims make of its facts, and the claims."""
        if not tokens.is_claim(operator.facts.source):
            return operator, ()
        stamp, found = self._stamped(operator.facts, "operator", _names_of(operator), (operator, stated.OPERATOR_FACTS))
        return dataclasses.replace(operator, facts=stamp), found

    def control_plane(self, plane: tenants.ControlPlane) -> tuple[tenants.ControlPlane, tuple[claims.Claim, ...]]:
        """Return the control plane with what claims make of its facts, and the claims."""
        if not tokens.is_claim(plane.facts.source):
            return plane, ()
        held = (plane, stated.CONTROL_PLANE_FACTS)
        stamp, found = self._stamped(plane.facts, "controlPlane", {f"control-plane/{plane.name}"}, held)
        return dataclasses.replace(plane, facts=stamp), found

    def site(
        self,
        site: sites.Site,
        backend: sites.Backend,
        pool: sites.Pool,
        presented: presentations.Presented,
        plane: tenants.ControlPlane | None = None,
    ) -> tuple[sites.Site, tuple[claims.Claim, ...]]:
        """Return a site with its papers, facts and attestation proved as far as claims go, and the claims.

        ``site.operator`` has gone through :meth:`operator` before; the claims of others are the caller's to add.
        """
        stamp, found = self._site_stamp(site, backend, pool)
        texts = (*(one.evidence for one in site.certifications), *(one.ref for one in site.evidence))
        if not found and site.attestation is None and not any(map(tokens.is_claim, texts)):
            return site, ()
        ours = {f"backend/{backend.name}", f"backend/{site.name}"}
        of_papers = ours | (_names_of(site.operator) if site.operator else set())
        certs, evidence = [], []
        for cert in site.certifications:
            path = f"backend.certifications[{cert.scheme}]"
            wanted = _Paper(f"certification/{cert.scheme}", cert, cert.service, cert.regions)
            made, more = self._paper(path, cert.evidence, wanted, of_papers)
            certs.append(dataclasses.replace(cert, **made))
            found += more
        for paper in site.evidence:
            path = f"backend.evidence[{paper.type}]"
            made, more = self._paper(path, paper.ref, _Paper(f"evidence/{paper.type}", paper), of_papers)
            evidence.append(dataclasses.replace(paper, **({"ref": made.pop("evidence")} if made else {}), **made))
            found += more
        attested = None
        if site.attestation is not None:
            attested, claim = self._attested(site.attestation, backend, presented, (site, plane))
            found += (claim,)
        proved = dataclasses.replace(
            site,
            facts=stamp,
            certifications=tuple(certs),
            evidence=tuple(evidence),
            attested=attested,
            attestation=None,
        )
        return proved, found

    def _site_stamp(
        self, site: sites.Site, backend: sites.Backend, pool: sites.Pool
    ) -> tuple[facts.FactStamp, tuple[claims.Claim, ...]]:
        """Return the site's stamp: of its own claims and its backend's, each held against its own document."""
        whole, part = f"backend/{backend.name}", f"backend/{site.name}"
        own = pool.facts.source if pool.facts is not None else None
        theirs = [source for source in (backend.facts.source, own) if tokens.is_claim(source)]
        if not theirs:
            return site.facts, ()
        found, said = [], []
        for text in (each for source in theirs for each in tokens.split(source or "")):
            subject = self._subject(text)
            if subject.startswith(f"{whole}/") and subject != part:
                continue  # of another pool of this backend: that site reads it
            held = (site, stated.POOL_FACTS) if subject == part else (backend, stated.SITE_FACTS)
            claim, facts_ = self._facts(text, "backend.facts", "backend", {whole, part}, held)
            found.append(claim)
            said.append(facts_)
        return _proved(site.facts, tuple(found), said, (site, stated.POOL_FACTS)), tuple(found)

    def _subject(self, text: str) -> str:
        said = self.opened(text).said
        return self.trusted.ours(said.subject) if said else ""

    def _stamped(
        self, stamp: facts.FactStamp, document: str, ours: set[str], held: tuple[Any, stated.Facts]
    ) -> tuple[facts.FactStamp, tuple[claims.Claim, ...]]:
        read = [
            self._facts(text, f"{document}.facts", document, ours, held) for text in tokens.split(stamp.source or "")
        ]
        found = tuple(claim for claim, _ in read)
        return _proved(stamp, found, [said for _, said in read], held), found

    def _facts(
        self, text: str, path: str, document: str, ours: set[str], held: tuple[Any, stated.Facts]
    ) -> tuple[claims.Claim, Mapping[str, Any]]:
        """Return a claim about facts, and what it proves; nothing where it is flawed."""
        opened = self.opened(text)
        flaws: list[claims.Flaw] = []
        said = opened.said
        if said is not None:
            flaws += self._meant(said, ours)
            known = {name: read for name, (kind, read) in held[1].items() if kind == said.kind}
            for name, value in said.facts.items():
                if name not in known:
                    flaws.append(claims.Flaw(claims.Fault.MALFORMED, f"a claim of kind {said.kind} says no {name!r}"))
                    continue
                here = stated.plain(known[name](held[0]))
                if not stated.equal(here, value):
                    flaws.append(_contradiction(f"{document}.{name}", value, here))
            if not said.facts:
                flaws.append(claims.Flaw(claims.Fault.MALFORMED, f"it states no facts, and stands on {path}"))
        claim = _standing(opened, path, flaws)
        return claim, said.facts if said is not None and claim.sound else {}

    def _paper(
        self, path: str, text: str | None, wanted: _Paper, ours: set[str]
    ) -> tuple[dict[str, Any], tuple[claims.Claim, ...]]:
        if not tokens.is_claim(text):
            return {}, ()
        found = []
        for each in tokens.split(text or ""):
            opened = self.opened(each)
            said = opened.said
            flaws = [] if said is None else [*self._meant(said, ours), *wanted.flaws(said, path)]
            found.append(_standing(opened, path, flaws))
        label = "; ".join(claim.label for claim in found)
        return {"evidence": label, "certified": all(claim.sound for claim in found)}, tuple(found)

    def _meant(self, said: profiles.Said, ours: set[str]) -> list[claims.Flaw]:
        subject = self.trusted.ours(said.subject)
        if subject in ours:
            return []
        text = f"it speaks of {subject[:200]}; it stands on {', '.join(sorted(ours))}"[:400]
        return [claims.Flaw(claims.Fault.SUBJECT_MISMATCH, text)]

    def _attested(
        self,
        written: sites.AttestationClaim,
        backend: sites.Backend,
        presented: presentations.Presented,
        about: tuple[sites.Site, tenants.ControlPlane | None],
    ) -> tuple[sites.Attested | None, claims.Claim]:
        """Return the verified result of an attestation, None where it proves nothing, and its claim."""
        challenged = False
        path, opened = "backend.attestation", self.opened(written.token)
        said, flaws = opened.said, []
        if said is not None:
            if not said.attestation:
                flaws.append(claims.Flaw(claims.Fault.MALFORMED, "it is no attestation result: it has no eat_nonce"))
            if written.verifier != said.issuer:
                text = f"the document names the verifier {written.verifier[:100]}, the token {said.issuer[:100]}"
                flaws.append(claims.Flaw(claims.Fault.UNTRUSTED_ISSUER, text))
            challenged = any(
                one.nonce in said.nonces and said.issued >= one.at - coverage.SKEW
                for one in presented.challenges.get(backend.name, ())
            )
            if not challenged and nonce(backend.name) not in said.nonces:
                text = f"it answers another challenge: eat_nonce has no {nonce(backend.name)!r}"
                flaws.append(claims.Flaw(claims.Fault.SUBJECT_MISMATCH, text))
            flaws += coverage.flaws(said, self.trusted.issuer(said.issuer), *about)
            if not said.affirming:
                flaws.append(claims.Flaw(claims.Fault.NOT_AFFIRMING, "ear.status is not affirming throughout"))
            if presented.replayed(said.issuer, said.id, backend.name, str(opened.claim.digest)):
                text = f"the result {said.id} was shown before; ask the verifier for a new one"
                flaws.append(claims.Flaw(claims.Fault.REPLAYED_NONCE, text))
        claim = _standing(opened, path, flaws)
        if said is None or not claim.sound:
            return None, claim
        tee = said.kind.removeprefix("attestation/")
        covers = coverage.documents(said, *about) if challenged else ()
        return sites.Attested(tee, True, said.issued, said.issuer, said.until, covers), claim

    def presentation(self, backend: sites.Backend) -> presentations.Presentation | None:
        """Return what is to be remembered of the attestation that a backend shows; None where nothing is proved."""
        if backend.attestation is None:
            return None
        opened = self.opened(backend.attestation.token)
        if opened.said is None:
            return None
        said = opened.said
        return presentations.Presentation(said.issuer, said.id, backend.name, str(opened.claim.digest), said.until)


def nonce(backend: str) -> str:
    """Return the challenge that an attestation of a backend answers; the audience binds it to this control plane."""
    return f"backend/{backend}"


@dataclasses.dataclass(frozen=True, slots=True)
class _Paper:
    """What a document says of a certificate or licence."""

    kind: str
    stated: sites.Certification | sites.Evidence
    service: str | None = None
    regions: tuple[str, ...] = ()

    def flaws(self, said: profiles.Said, path: str) -> Iterable[claims.Flaw]:
        if said.kind != self.kind:
            text = f"it certifies {said.kind}, and stands on {self.kind}"
            yield claims.Flaw(claims.Fault.SUBJECT_MISMATCH, text)
        if said.facts:
            yield claims.Flaw(claims.Fault.MALFORMED, f"it states facts, and stands on {path}")
        if said.service is not None and said.service != self.service:
            yield _contradiction(f"{path}.service", said.service, self.service)
        if said.regions is not None and not set(self.regions) <= set(said.regions):
            yield _contradiction(f"{path}.regions", list(said.regions), list(self.regions))
        written = {"validFrom": self.stated.valid_from, "validTo": self.stated.valid_to, "digest": self.stated.digest}
        for name, value in said.paper.items():
            if written[name] is not None and not stated.equal(stated.plain(written[name]), value):
                yield _contradiction(f"{path}.{name}", value, stated.plain(written[name]))


def _standing(opened: tokens.Opened, path: str, flaws: list[claims.Flaw]) -> claims.Claim:
    return dataclasses.replace(opened.claim, path=path, flaws=(*opened.claim.flaws, *flaws))


def _proved(
    stamp: facts.FactStamp,
    found: tuple[claims.Claim, ...],
    said: list[Mapping[str, Any]],
    covers: tuple[Any, stated.Facts],
) -> facts.FactStamp:
    """Return the stamp with its claims as the source; certified where they cover all that is stated."""
    known = {name: value for each in said for name, value in each.items()}
    here = {name: stated.plain(read(covers[0])) for name, (_, read) in covers[1].items()}
    open_ = [n for n, v in here.items() if v not in (None, [], {}) and not (n in known and stated.equal(v, known[n]))]
    certified = bool(known) and not open_ and all(claim.sound for claim in found)
    return dataclasses.replace(
        stamp,
        source="; ".join(claim.label for claim in found)[:1024],
        proven=facts.Assurance.CERTIFIED if certified else facts.Assurance.DECLARED,
    )


def _names_of(operator: sites.Operator) -> set[str]:
    return {f"operator/{operator.name}", *([f"lei/{operator.lei}"] if operator.lei else [])}


def _contradiction(path: str, said: Any, stated: Any) -> claims.Flaw:
    text = f"the claim says {path} = {said!r}, the document {stated!r}"[:400]
    written = (None if each is None else json.dumps(each, ensure_ascii=False)[:200] for each in (said, stated))
    return claims.Flaw(claims.Fault.CONTRADICTION, text, None, None, path[:200], *written)


NOBODY = Claimants()
"""Trusts no issuer: every claim is refused."""


@dataclasses.dataclass(frozen=True, slots=True)
class Proofs:
    """What sites need to be proved: who verifies, what was shown before, and the claims of what they rest on."""

    claimants: Claimants = NOBODY
    presented: presentations.Presented = dataclasses.field(default_factory=presentations.Presented)
    operators: Mapping[str, tuple[claims.Claim, ...]] = dataclasses.field(default_factory=dict)
    control_plane: tuple[claims.Claim, ...] = ()
    plane: tenants.ControlPlane | None = None

    def site(self, site: sites.Site, backend: sites.Backend, pool: sites.Pool) -> sites.Site:
        """Return a site proved as far as claims go, with all claims that it rests on."""
        proved, found = self.claimants.site(site, backend, pool, self.presented, self.plane)
        rests_on = (*found, *self.operators.get(site.operator_name or "", ()), *self.control_plane)
        return dataclasses.replace(proved, claims=rests_on) if rests_on else proved


def prove(
    claimants: Claimants,
    presented: presentations.Presented,
    operators: Mapping[str, sites.Operator],
    plane: tenants.ControlPlane | None,
) -> tuple[dict[str, sites.Operator], tenants.ControlPlane | None, Proofs]:
    """Return operators and control plane as far as claims prove them, and what sites need to be proved."""
    read = {name: claimants.operator(operator) for name, operator in operators.items()}
    proved, found = claimants.control_plane(plane) if plane is not None else (None, ())
    theirs = {name: more for name, (_, more) in read.items() if more}
    return {name: one for name, (one, _) in read.items()}, proved, Proofs(claimants, presented, theirs, found, proved)
