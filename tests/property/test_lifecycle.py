"""The laws of a job's life, for any order of any events: late, repeated, of older attempts, after the end."""

import datetime as dt

import hypothesis
from hypothesis import stateful
from hypothesis import strategies as st

from orchestrator.domain import conditions, elements, errors, events, ids, jobs, lifecycle
from orchestrator.testing import fakes

ID = ids.JobId("01HZZZZZZZZZZZZZZZZZZZZZZZ")
RANK = {
    jobs.Phase.PLACED: 0, jobs.Phase.STARTING: 1, jobs.Phase.RUNNING: 2, jobs.Phase.STOPPING: 3,
    jobs.Phase.SUCCEEDED: 4, jobs.Phase.FAILED: 4, jobs.Phase.CANCELLED: 4,
}  # fmt: skip
P = jobs.Phase
PAIRS = {
    (P.QUEUED, P.PLACED), (P.QUEUED, P.CANCELLED), (P.QUEUED, P.FAILED),
    (P.PLACED, P.STARTING), (P.PLACED, P.RUNNING), (P.PLACED, P.QUEUED), (P.PLACED, P.FAILED),
    (P.PLACED, P.STOPPING), (P.PLACED, P.SUCCEEDED),
    (P.STARTING, P.RUNNING), (P.STARTING, P.STOPPING), (P.STARTING, P.QUEUED), (P.STARTING, P.FAILED),
    (P.STARTING, P.SUCCEEDED),
    (P.RUNNING, P.SUCCEEDED), (P.RUNNING, P.FAILED), (P.RUNNING, P.QUEUED), (P.RUNNING, P.STOPPING),
    (P.STOPPING, P.QUEUED), (P.STOPPING, P.CANCELLED), (P.STOPPING, P.FAILED), (P.STOPPING, P.SUCCEEDED),
}  # fmt: skip
"""Every pair of phases that a job without elements may go through, and no other."""
seen: set[tuple[jobs.Phase, jobs.Phase]] = set()


def job(attempts=3, on=tuple(jobs.RetryOn)):
    spec = jobs.JobSpec(name="j", retry=jobs.Retry(attempts, on))
    return jobs.Job(ID, "t", spec, ids.Digest("sha256:0"), fakes.START, "u")


def at(minute):
    return fakes.START + dt.timedelta(minutes=minute)


moments = st.integers(-60, 600).map(at)
handles = st.sampled_from([None, "h1", "h2"])
outcomes = st.builds(
    lambda kind, code: jobs.Outcome(kind, exit_code=code if kind is jobs.OutcomeKind.EXITED else None),
    st.sampled_from(list(jobs.OutcomeKind)), st.sampled_from([0, 0, 1]),
)  # fmt: skip
delays = st.sampled_from([None, at(30)])


def of_attempt(number):
    """Return events about attempt ``number``."""
    n = st.just(number)
    return st.one_of(
        st.builds(events.SubmitTried, moments, n),
        st.builds(events.SubmitAccepted, moments, n, st.sampled_from(["h1", "h2"])),
        st.builds(
            events.SubmitRefused,
            moments,
            n,
            st.just("c"),
            st.just("m"),
            st.sampled_from(list(errors.RetryWhere)),
            delays,
        ),
        st.builds(events.Withdrawn, moments, n, st.just("r"), st.just("m")),
        st.builds(events.Abandoned, moments, n, st.just("Unreachable")),
        st.builds(events.Started, moments, n, st.none(), handles),
        st.builds(events.SeenWaiting, moments, n, handles, st.sampled_from(["", "R"]), st.sampled_from(["m1", "m2"])),
        st.builds(events.Ended, moments, n, outcomes, delays),
        st.builds(events.GoneRead, moments, n),
        st.builds(events.Vanished, moments, n, delays),
    )


general = st.one_of(
    st.builds(events.StopRequested, moments, st.sampled_from(list(jobs.StopCause)), st.just("u")),
    st.builds(
        events.ConditionChanged,
        moments,
        st.sampled_from(["A", "B", "Unplaceable"]),
        st.booleans(),
        st.just("r"),
        st.text(max_size=2),
    ),
)


class Life(stateful.RuleBasedStateMachine):
    """One job and everything that can be said of it."""

    def __init__(self):
        super().__init__()
        self.job = job()
        self.ended = {}
        self.past = []

    @stateful.initialize(attempts=st.integers(1, 4), on=st.sets(st.sampled_from(list(jobs.RetryOn))))
    def submit(self, attempts, on):
        self.job = job(attempts, tuple(on))

    def say(self, event):
        before, new = self.job, lifecycle.apply(self.job, event)
        assert new == lifecycle.apply(before, event), "apply is a function"
        if before.phase.terminal:
            assert new is before, "terminal phases are final"
        if new is not before:
            assert new != before, "what changes nothing returns the same object"
            if new.phase is not before.phase:
                seen.add((before.phase, new.phase))
                assert (before.phase, new.phase) in PAIRS, f"{before.phase} -> {new.phase}"
        self._attempts(before, new)
        self.past = [*self.past, event][-20:]
        self.job = new

    def _attempts(self, before, new):
        old = {attempt.number: attempt for attempt in before.attempts}
        for attempt in new.attempts:
            known = old.get(attempt.number)
            if known is not None:
                assert RANK[attempt.phase] >= RANK[known.phase], "an attempt never goes back"
                assert (attempt.key, attempt.site, attempt.placed_at) == (known.key, known.site, known.placed_at)
                assert known == attempt or not known.phase.terminal, "an attempt that ended stays as it is"
        assert [a.number for a in new.attempts] == sorted({a.number for a in new.attempts})

    @stateful.rule(minute=st.integers(0, 600))
    def place(self, minute):
        number = self.job.attempts[-1].number + 1 if self.job.attempts else 1
        self.say(events.Placed(at(minute), number, ids.SiteName("b/p"), ids.Digest("sha256:d")))

    @stateful.rule(number=st.integers(0, 9))
    def place_wrongly(self, number):
        self.say(events.Placed(at(1), number, ids.SiteName("b/q"), ids.Digest("sha256:e")))

    @stateful.rule(data=st.data())
    def current(self, data):
        number = self.job.attempts[-1].number if self.job.attempts else 1
        self.say(data.draw(of_attempt(number)))

    @stateful.rule(data=st.data(), back=st.integers(-1, 3))
    def other(self, data, back):
        number = self.job.attempts[-1].number if self.job.attempts else 1
        self.say(data.draw(of_attempt(number - back)))

    @stateful.rule(event=general)
    def anything(self, event):
        self.say(event)

    @stateful.rule(data=st.data())
    def repeat(self, data):
        if self.past:
            self.say(data.draw(st.sampled_from(self.past)))

    @stateful.invariant()
    def laws(self):
        attempts = self.job.attempts
        live = [attempt for attempt in attempts if not attempt.phase.terminal]
        assert len(live) <= 1, "one live attempt at most"
        assert all(attempt is attempts[-1] for attempt in live), "only the last attempt lives"
        if self.job.phase in jobs.OCCUPYING:
            assert live, "a job that occupies a site has an attempt that does"
            assert live[0].phase is self.job.phase
        else:
            assert not live, "a job that occupies nothing has no live attempt"
        assert (self.job.phase is jobs.Phase.STOPPING) <= (self.job.stop is not None)
        if self.job.phase is jobs.Phase.QUEUED:
            assert self.job.stop is None, "a queued job is not being stopped"
        assert lifecycle.tries_charged(self.job) <= self.job.spec.retry.attempts, "tries are bounded"
        assert sum(1 for a in attempts if a.outcome is None) <= lifecycle.MAX_UNCHARGED + 1, "the row is bounded"
        assert len({c.type for c in self.job.conditions}) == len(self.job.conditions) <= conditions.MAX_CONDITIONS
        assert (lifecycle.due(self.job) is lifecycle.Due.NOTHING) == self.job.phase.terminal, "something is always due"
        assert self.job.phase.terminal == (self.job.ended_at is not None)


LifeTest = Life.TestCase
LifeTest.settings = hypothesis.settings(max_examples=150, stateful_step_count=40, deadline=None)


SHORTEST = {
    (P.QUEUED, P.PLACED): ["place"],
    (P.QUEUED, P.CANCELLED): ["cancel"],
    (P.QUEUED, P.FAILED): ["deadline"],
}


def _walk():
    """Return every pair that is reachable from a new job by the events there are: breadth first, small values."""
    n = 1
    small = [
        events.Placed(at(0), n, ids.SiteName("b/p"), ids.Digest("d")),
        events.SubmitAccepted(at(1), n, "h"),
        events.SubmitRefused(at(1), n, "c", "m", errors.RetryWhere.NEVER),
        events.SubmitRefused(at(1), n, "c", "m", errors.RetryWhere.ELSEWHERE),
        events.Withdrawn(at(1), n, "r", "m"),
        events.Abandoned(at(1), n, "r"),
        events.Started(at(2), n),
        events.Ended(at(3), n, jobs.Outcome(jobs.OutcomeKind.EXITED, 0)),
        events.Ended(at(3), n, jobs.Outcome(jobs.OutcomeKind.EXITED, 1)),
        events.Ended(at(3), n, jobs.Outcome(jobs.OutcomeKind.STOPPED)),
        events.Vanished(at(3), n),
        *(events.StopRequested(at(2), cause, "u") for cause in jobs.StopCause),
    ]
    found, known, open_ = set(), set(), [job(2)]
    while open_:
        state = open_.pop()
        for event in small:
            new = lifecycle.apply(state, event)
            if new is not state:
                found.add((state.phase, new.phase))
                if new not in known and len(new.attempts) <= 1:
                    known.add(new)
                    open_.append(new)
    return {pair for pair in found if pair[0] is not pair[1]}


def test_each_pair_of_phases_is_reached_and_no_other():
    """The table of pairs is exactly what events can do."""
    assert _walk() == PAIRS


@hypothesis.given(size=st.integers(1, 8), data=st.data())
def test_an_array_counts_its_elements(size, data):
    """Touched or not, each element is counted once; the parent ends when the last one does."""
    parent = jobs.Job(
        ID, "t", jobs.JobSpec(name="a", array=jobs.ArraySpec(size)), ids.Digest("sha256:0"), fakes.START, "u",
        array_state=jobs.ArrayState(((0, size),)),
    )  # fmt: skip
    touched = {}
    for index in data.draw(st.permutations(range(size))):
        parent, element = elements.touch(parent, index)
        placed = lifecycle.apply(element, events.Placed(at(1), 1, ids.SiteName("b/p"), ids.Digest("d")))
        parent = elements.element_changed(parent, element.phase, placed.phase, at(1))
        touched[index] = placed
        assert parent.array_state.untouched_count + sum(n for _, n in parent.array_state.counts) == size
    codes = data.draw(st.lists(st.sampled_from([0, 1]), min_size=size, max_size=size))
    for index, code in enumerate(codes):
        assert not parent.phase.terminal
        done = lifecycle.apply(touched[index], events.Ended(at(2), 1, jobs.Outcome(jobs.OutcomeKind.EXITED, code)))
        parent = elements.element_changed(parent, touched[index].phase, done.phase, at(2))
    assert parent.phase is (jobs.Phase.FAILED if any(codes) else jobs.Phase.SUCCEEDED)
