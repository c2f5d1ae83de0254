"""The story, step by step. Each step does something real and raises DemoError where the outcome is not as claimed."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.cli.demo import examples, narration
from orchestrator.cli.demo.machines import DemoError, World, until
from orchestrator.cli.rendering import answers
from orchestrator.client import clients, resolution, results
from orchestrator.telemetry import clocks
from orchestrator.wire import jsonable, yaml_loader

JOB_S = 240.0
RUNNING_S = 180.0
LEAST_ACCURACY = 0.90
PARIS, FRANKFURT, SINGAPORE = "paris/cpu", "frankfurt/cpu", "singapore/cpu"


class Story:
    """Tells and checks."""

    def __init__(self, world: World, say: narration.Narrator) -> None:
        self.world = world
        self.say = say
        self._clock = clocks.SystemClock()

    def prepare(self) -> None:
        """Start a control plane that knows three places and one data set."""
        examples.copy(self.world.folder)
        for name in ("places.yaml", "data.yaml"):
            (self.world.folder / "hospital" / name).rename(self.world.documents / name)
        self.say.waiting("starting a control plane")
        pid = self.world.start()
        with self.world.client() as client:
            until(lambda: len(_seen(client)) == 3, RUNNING_S, "the control plane did not reach its three places")
        self.say.done_waiting()
        self.say.told(f"control plane: process {pid} at {self.world.server}, state in {self.world.state}")
        self.say.told("places: paris (a French operator, certified for health data), frankfurt (a German site of a US")
        self.say.told("        parent), singapore (the cheapest). Each is a folder and a pool of processes here.")
        self.say.told("The operators and their papers are invented, and each fact says so; everything else is real.")

    def health(self) -> None:
        """French health data lands in France."""
        self.say.heading("French health data goes where French law lets it: to the dearest place")
        plan = self.show_plan("hospital/health.yaml", placeable=True)
        claim(plan.chosen == PARIS, f"the plan chose {plan.chosen}, not {PARIS}")
        codes = refusals(plan.sites)
        claim("fr-hds.certificate" in codes.get(FRANKFURT, ()), f"frankfurt is refused for {codes.get(FRANKFURT)}")
        claim("exposure.US" in codes.get(FRANKFURT, ()), f"frankfurt is refused for {codes.get(FRANKFURT)}")
        claim("fr-hds.certificate" in codes.get(SINGAPORE, ()), f"singapore is refused for {codes.get(SINGAPORE)}")
        self._run_training("hospital/health.yaml", "health", PARIS)

    def free(self) -> None:
        """Without data and constraints the price decides."""
        self.say.heading("The same work without personal data goes to the cheapest")
        plan = self.show_plan("hospital/free.yaml", placeable=True)
        claim(plan.chosen == SINGAPORE, f"the plan chose {plan.chosen}, not {SINGAPORE}")
        claim(all(site["allowed"] for site in plan.sites), "some site was refused though nothing was asked for")
        self._run_training("hospital/free.yaml", "free", SINGAPORE)

    def impossible(self) -> None:
        """What nobody meets is refused with every reason and the nearest change."""
        self.say.heading("What no place meets is refused, with every reason and the nearest change")
        plan = self.show_plan("hospital/impossible.yaml", placeable=False)
        codes = refusals(plan.sites)
        claim(len(codes) == 3, f"only {sorted(codes)} are refused")
        claim(set(codes[PARIS]) == {"limits.price"}, f"paris is refused for {codes[PARIS]}, not for the price alone")
        changes = plan.document.get("nearestChange") or []
        claim(bool(changes), "no nearest change is named")
        claim(not any(change.get("dropsConstraint") for change in changes), "the nearest change gives up a constraint")
        arguments = ["submit", "-f", "hospital/impossible.yaml", "--wait", "--cancel-if-unplaceable"]
        self.say.command(" ".join(arguments))
        answer = self.run(arguments, expected=3)
        self.say.output(answer.stderr)
        with self.world.client() as client:
            job = client.find("impossible")
        claim(not job.attempts, f"the refused job was tried {len(job.attempts)} times")
        self.say.checked("refused at every site; exit code 3; no attempt was made anywhere")

    def survive(self) -> None:
        """The control plane is killed while a job runs, and adopts it when it is back."""
        self.say.heading("The control plane is killed while a job runs; the job does not notice")
        id_ = self.run(["submit", "-f", "hospital/long.yaml"], expected=0).stdout.strip()
        self.say.command("submit -f hospital/long.yaml")
        self.say.output(id_)
        with self.world.client() as client:
            self.say.waiting("waiting until it runs")
            until(lambda: _phase(client, id_) == "RUNNING" and _output(client, id_), RUNNING_S, "the job did not run")
            self.say.done_waiting()
            before = client.job(id_)
        killed_at = self._clock.now()
        self.world.kill()
        claim(before.phase == "RUNNING", f"the job was {before.phase} when the control plane was killed")
        self.say.told("kill -9 of the control plane, while the job is RUNNING")
        self.say.waiting("starting it again")
        pid = self.world.start()
        self.say.done_waiting()
        self.say.told(f"started again: process {pid}")
        with self.world.client() as client:
            job = self.ended(client, id_)
            text = _output(client, id_)
            metrics = self._metrics(client, id_)
        claim(job.succeeded, f"the job ended {job.phase} {job.reason}")
        claim(len(job.attempts) == 1, f"the job needed {len(job.attempts)} attempts")
        claim(job.site == PARIS, f"the job ran on {job.site}")
        ended_at = dt.datetime.fromisoformat(str(job.attempts[0]["endedAt"]))
        claim(ended_at > killed_at, "the job had ended before the control plane was killed")
        epochs = [line.split()[1] for line in text.splitlines() if line.startswith("epoch")]
        claim(len(epochs) == len(set(epochs)) == 11, f"the output is not that of one run: {epochs}")
        self.say.command("get jobs")
        self.say.output(self.run(["get", "jobs"], expected=0).stdout)
        self.say.checked(f"adopted: one attempt, one run, no lost line of output, accuracy {metrics['accuracy']:.3f}")

    def prove(self) -> None:
        """Explain shows facts with source and date; the journal's chain holds."""
        self.say.heading("Every answer can be asked for its reasons, and the record for its chain")
        self.say.command("explain long --backend frankfurt")
        text = self.run(["explain", "long", "--backend", "frankfurt"], expected=0).stdout
        self.say.output(text)
        for words in ("invented for the demonstration", "as of 2026-11-01", "ultimateParentHq = US"):
            claim(words in text, f"the explanation does not say {words!r}")
        self.say.told("")
        self.say.command("log verify")
        self.say.output(self.run(["log", "verify", "--state", str(self.world.state)], expected=0).stdout)
        self.say.checked("facts named with source and date; the journal's chain holds from the first entry to the last")

    def show_plan(self, file: str, *, placeable: bool) -> results.PlanView:
        """Print a plan as the command line shows it, and return the same answer as data."""
        self.say.command(f"plan -f {file}")
        text = self.run(["plan", "-f", file], expected=0 if placeable else 3, colour=self.say.colour).stdout
        self.say.output(text)
        path = self.world.folder / file
        (loaded,) = yaml_loader.load(path.read_bytes(), file=file)
        job = resolution.resolve(jsonable.to_json(loaded.data), folder=path.parent, environ={}).document
        with self.world.client() as client:
            answer = client.plan(job)
        digest = answer.digest.removeprefix("sha256:")[: answers.DIGEST_DIGITS]
        claim(f"plan {digest}" in text, f"the same question twice has two answers: {digest} is not what is shown")
        return answer

    def _run_training(self, file: str, name: str, site: str) -> None:
        self.say.command(f"submit -f {file} --wait")
        self.say.waiting("training")
        answer = self.run(["submit", "-f", file, "--wait"], expected=0)
        self.say.done_waiting()
        self.say.output("\n".join(answer.stdout.splitlines()[-2:]))
        with self.world.client() as client:
            job = client.find(name)
            metrics = self._metrics(client, job.id)
        claim(job.succeeded and job.site == site, f"{name} ended {job.phase} on {job.site}, not SUCCEEDED on {site}")
        accuracy, unseen = metrics["accuracy"], metrics["unseen_digits"]
        claim(accuracy >= LEAST_ACCURACY, f"the classifier reads only {accuracy:.0%} of the digits")
        self.say.checked(f"ran on {site}: reads {accuracy:.1%} of {unseen} handwritten digits it had never seen")

    def ended(self, client: clients.Client, id_: str) -> results.JobView:
        """Wait for the end of a job, and return it."""
        self.say.waiting("waiting for its end")
        until(lambda: client.job(id_).ended, JOB_S, "the job did not end")
        self.say.done_waiting()
        return client.job(id_)

    def _metrics(self, client: clients.Client, id_: str) -> Mapping[str, Any]:
        found = json.loads(b"".join(client.read_output(id_, "metrics.json")))
        claim(isinstance(found, dict) and "accuracy" in found, "the job left no metrics")
        return dict(found)

    def run(self, arguments: Sequence[str], *, expected: int, colour: bool = False) -> Any:
        """Run a command, and return what it printed. Raises DemoError where it ends otherwise than expected."""
        answer = self.world.run(arguments, colour=colour)
        if answer.returncode != expected:
            self.say.done_waiting()
            words = f"comity {' '.join(arguments)}: exit {answer.returncode}, expected {expected}"
            raise DemoError(f"{words}\n{answer.stdout}{answer.stderr}".rstrip())
        return answer


def refusals(sites: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """Return site -> the codes that refuse it."""
    return {
        str(site["site"]): [str(one["code"]) for one in site.get("reasons", []) if one.get("effect") == "deny"]
        for site in sites
        if not site.get("allowed")
    }


def _seen(client: clients.Client) -> list[Mapping[str, Any]]:
    return [site for site in client.list("sites").items if site.get("reachable") or site.get("offer")]


def _phase(client: clients.Client, id_: str) -> str:
    return client.job(id_).phase


def _output(client: clients.Client, id_: str) -> str:
    """Return all that the job wrote so far."""
    text, cursor = b"", None
    while True:
        page = client.log_page(id_, cursor=cursor)
        text += b"".join(data for _, data in page.chunks)
        if not page.chunks or page.cursor == cursor:
            return text.decode("utf-8", "replace")
        cursor = page.cursor


def claim(holds: bool, otherwise: str) -> None:
    """Raise DemoError where something does not hold."""
    if not holds:
        raise DemoError(otherwise)
