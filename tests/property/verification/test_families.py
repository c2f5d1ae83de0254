"""Laws of the runs of one verified job, for any answers, any places that are lost, and a kill at any point."""

import hypothesis
from hypothesis import strategies as st

from orchestrator.domain import executions, ids, jobs
from orchestrator.verification import decisions, draws, families, results

KEY = b"k" * 32
SUBJECT = ids.Digest("sha256:" + "5" * 64)
OTHER = ids.Digest("sha256:" + "6" * 64)
OPERATOR = frozenset({jobs.Distinct.OPERATOR})
LAW = hypothesis.settings(max_examples=150, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
SITES = [draws.Candidate(f"s{n}", f"op{n // 2}", f"C{n}") for n in range(14)]
TRUSTED = draws.Candidate("own", "hospital", "FR")
WORDS = {"honest": "1", "wrong": "2", "colluding": "3", "other-input": "1"}


def outputs(word):
    return None if word is None else (executions.OutputFile("out", 1, word * 64),)


class History:
    """Children as a store would hold them; each write is one transaction, and a kill comes before or after it."""

    def __init__(self, request, cheats, data, *, audit=False):
        self.request, self.cheats, self.data, self.audit = request, cheats, data, audit
        self.children: dict[int, families.Child] = {}

    def step(self):
        return families.step(self.request, self.children, results.exact, audit=self.audit)

    def yes(self):
        return self.data.draw(st.booleans())

    def write(self, step):
        for number in step.create:
            self.children.setdefault(number, families.Child(waits=True))
            if self.yes():
                return  # killed: whoever comes next computes the rest anew

    def place(self):
        found = families.places(KEY, "job", self.request, self.children, SITES)
        for number, site in (found or {}).items():
            self.give(number, next(one for one in SITES if one.site == site))
            if self.yes():
                return
        for number, child in self.children.items():
            if number >= self.request.replicas and child.waits:
                assert families.may_lie(self.request, number, self.children, TRUSTED)
                self.give(number, TRUSTED)

    def give(self, number, place):
        assert families.may_lie(self.request, number, self.children, place)
        self.children[number] = families.Child(held=(*self.children[number].held, place))

    def happen(self, *, may_lose):
        running = [n for n, one in self.children.items() if one.held and not one.waits and one.result is None]
        if not running:
            return
        number = self.data.draw(st.sampled_from(running))
        child = self.children[number]
        if may_lose and self.yes():
            self.children[number] = families.Child(held=child.held, waits=True)
        else:
            self.children[number] = families.Child(held=child.held, result=self.answer(number, child.held[-1]))

    def answer(self, number, place):
        kind = families.role(self.request, number)
        how = self.cheats.get(place.operator, "honest")
        subject = OTHER if how == "other-input" else SUBJECT
        word = outputs(None if how == "dies" else WORDS[how])
        return results.Result(str(number), place.operator, place.country, subject, word, kind)

    def run(self, ticks=60):
        for tick in range(ticks):
            step = self.step()
            assert step == self.step()
            if step.final:
                return step
            if self.yes():
                self.write(step)
            self.place()
            self.happen(may_lose=tick < 20)
            self.hold()
        for _ in range(200):  # Nothing is killed or lost any more.
            step = self.step()
            if step.final:
                return step
            for number in step.create:
                self.children.setdefault(number, families.Child(waits=True))
            self.place()
            self.happen(may_lose=False)
            self.hold()
        raise AssertionError("it came to no end")

    def hold(self):
        assert len(self.children) <= families.children_max(self.request)
        ran = [(n, place) for n, one in self.children.items() for place in one.held if n < self.request.replicas]
        for field in self.request.distinct:
            owners = {}
            for number, place in ran:
                value = place.operator if field is jobs.Distinct.OPERATOR else place.country
                assert owners.setdefault(value, number) == number, "two replicas were with one hand"


def asked(replicas, quorum, distinct=OPERATOR):
    return results.Request(SUBJECT, replicas, quorum, distinct)


@LAW
@hypothesis.given(
    st.data(),
    st.dictionaries(st.sampled_from([f"op{n}" for n in range(7)]), st.sampled_from([*WORDS, "dies"])),
    st.sampled_from([(1, 1), (2, 2), (3, 2), (4, 3)]),
    st.sampled_from([OPERATOR, frozenset(jobs.Distinct), frozenset()]),
    st.booleans(),
)
def test_it_ends_within_its_bound_and_no_later_answer_contradicts_it(data, cheats, size, distinct, audit):
    history = History(asked(*size, distinct), cheats, data, audit=audit)
    ended = history.run()
    if ended.verdict.outcome is not decisions.Outcome.ACCEPTED:
        assert ended.verdict.outcome is decisions.Outcome.UNSETTLED
        assert decisions.Finding.DIFFERS not in dict(ended.verdict.findings).values()
        assert all(one.result is not None for one in history.children.values())
        return
    said = history.children[int(ended.verdict.accepted)].result.answer()
    for number in ended.stop:
        child = history.children[number]
        place = child.held[-1] if child.held else SITES[0]
        history.children[number] = families.Child(held=child.held, result=history.answer(number, place))
        later = history.step()
        assert later.final
        assert history.children[int(later.verdict.accepted)].result.answer() == said


@LAW
@hypothesis.given(st.data(), st.sampled_from([*WORDS, "dies"]), st.booleans())
def test_a_lone_cheater_is_never_believed_and_has_nobody_blamed(data, how, audit):
    history = History(asked(3, 2), {"op3": how}, data, audit=audit)
    verdict = history.run().verdict
    assert verdict.outcome is decisions.Outcome.ACCEPTED
    assert history.children[int(verdict.accepted)].result.outputs == outputs("1")
    assert {history.children[int(name)].result.operator for name in verdict.blamed} <= {"op3"}
