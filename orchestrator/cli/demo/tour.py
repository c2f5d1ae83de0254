"""What to look at next, each with its command; what is not built yet is said plainly."""

from __future__ import annotations

from orchestrator.cli.demo import narration

STOPS = (
    ("Why not there? Every site, every reason, every fact with source and date", "explain JOB", True),
    ("The answer on another day, when a certificate has expired", "plan -f job.yaml --at 2031-06-01", True),
    ("The nearest change that would make a job placeable, proved by judging it again", "plan -f job.yaml", True),
    ("Where in the world may this job go? Offers of real operators", "plan -f JOB --with examples/atlas", True),
    ("Rules are data: run your own cases against them", "policy test cases.yaml", True),
    ("A control plane that dies loses nothing, and starts nothing twice", "demo", True),
    ("An append-only record, each entry chained to the one before", "log verify", True),
    ("An adapter of your own, with a conformance suite, in one command", "backend new my-cloud", True),
    ("A signed bundle per job that an auditor checks offline", "evidence JOB -o bundle.json", True),
    ("Past jobs judged by other rules", "policy replay --at 2027-01-01", True),
    ("Running jobs moved away when an operator is bought", "backend drain NAME", False),
    ("Stop everything that touches a country, now", "freeze --country XX --reason ...", True),
)


def tell(say: narration.Narrator) -> None:
    """Print the tour."""
    say.heading("What no other system has")
    width = max(len(command) for _, command, _ in STOPS)
    for text, command, built in STOPS:
        say.told(f"comity {command.ljust(width)}  {text}{'' if built else '  (not yet)'}")
