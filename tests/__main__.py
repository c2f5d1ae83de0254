"""Run the tests; what fails among those with real components is tried once more, alone. See docs/adr/0038.

``python -m tests [arguments of pytest]``. Exit status as pytest's: 0 where everything passed, if need be alone.
"""

import subprocess
import sys
from collections.abc import Sequence

import pytest

ALONE = ("tests/e2e/", "tests/attack/", "tests/conformance/test_ray.py")
"""Where a test shares machine, clusters and networks with what runs beside it. All others must pass the first time."""
MOST = 16
"""More failures than this are no accident."""


class Failures:
    """A pytest plugin that keeps the names of what failed, and of what is more than a test that failed."""

    def __init__(self) -> None:
        self.tests: dict[str, None] = {}
        self.others: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep a test whose setup, call or teardown failed."""
        if report.failed:
            self.tests[report.nodeid] = None

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep a module that cannot be read."""
        if report.failed:
            self.others.append(report.nodeid)


def refusal(failures: Failures) -> str:
    """Return why these failures are not tried again, "" where they are."""
    first = [name for name in failures.tests if not name.startswith(ALONE)]
    if failures.others or first:
        return f"must hold the first time: {', '.join([*failures.others, *first][:MOST])}"
    if len(failures.tests) > MOST:
        return f"{len(failures.tests)} failures are no accident (at most {MOST})"
    return "" if failures.tests else "no test failed, and yet the run did"


def main(arguments: Sequence[str]) -> int:
    """Run pytest with these arguments, and again for what failed. Returns the exit status."""
    failures = Failures()
    status = int(pytest.main(list(arguments), plugins=[failures]))
    if status != pytest.ExitCode.TESTS_FAILED:
        return status
    if why := refusal(failures):
        print(f"\nnot tried again: {why}", flush=True)
        return status
    names = list(failures.tests)
    print("\ntried again, with nothing beside:", *names, sep="\n  ", flush=True)
    again = subprocess.run([sys.executable, "-m", "pytest", "-p", "no:xdist", *names], check=False).returncode
    print("\npassed alone:" if again == 0 else "\nfailed alone too, of:", *names, sep="\n  ", flush=True)
    return again


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
