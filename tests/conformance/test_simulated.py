"""The simulated adapter keeps every promise of the port."""

import datetime as dt

from backends import simulated
from orchestrator.domain import jobs
from orchestrator.testing import conformance, fakes


class TestSimulated(conformance.AdapterConformance):
    """The whole kit, on a virtual clock."""

    def setup_method(self):
        self.clock = fakes.VirtualClock()

    def plugin(self):
        return simulated.plugin

    def spec(self, *, seconds, exit_code=0):
        env = (("SIMULATE_RUN_TIME", str(seconds)), ("SIMULATE_EXIT_CODE", str(exit_code)))
        return jobs.JobSpec(name="t", command=("true",), env=env)

    def pass_time(self, seconds):
        self.clock.advance(seconds)

    def now(self) -> dt.datetime:
        return self.clock.now()
