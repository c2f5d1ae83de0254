"""The chapter on real clusters and networks: work that may go there goes, and private data does not."""

from __future__ import annotations

import json

from orchestrator.cli.demo import components, machines, story

REACHED_S = 180.0
JOBS = {"slurm": "queue", "bacalhau": "module"}
HEADINGS = {
    "slurm": "A batch job goes to the supercomputer, where hours are cheap",
    "bacalhau": "A module goes to a stranger's node inside the EEA",
}
CERTIFICATE = "fr-hds.certificate"


class Elsewhere:
    """Tells and checks, with the means of the story."""

    def __init__(self, told: story.Story, found: components.Component) -> None:
        self.told = told
        self.say = told.say
        self.found = found

    def tell(self) -> None:
        """Register it, place a job there, and refuse the same job with private data."""
        job = JOBS[self.found.name]
        self.say.heading(HEADINGS[self.found.name])
        self.register()
        plan = self.told.show_plan(f"networks/{job}.yaml", placeable=True)
        story.claim(self._mine(plan.chosen), f"the plan chose {plan.chosen}, not a site of {self.found.backend}")
        self._placed(job, str(plan.chosen))
        self._refused(f"private-{job}")

    def register(self) -> None:
        """Apply its documents, and wait until it is reached."""
        file = f"{self.found.name}.yaml"
        text = "---\n".join(json.dumps(one, indent=2) + "\n" for one in self.found.documents)  # which is YAML
        (self.told.world.folder / file).write_text(text, encoding="utf-8")
        self.say.command(f"apply -f {file}")
        self.say.output(self.told.run(["apply", "-f", file], expected=0).stdout)
        self.say.waiting("reaching it")
        with self.told.world.client() as client:
            machines.until(
                lambda: any(
                    one.get("backend") == self.found.backend and one.get("reachable")
                    for one in client.list("sites").items
                ),
                REACHED_S,
                f"{self.found.backend} was not reached",
            )
        self.say.done_waiting()

    def _mine(self, site: object) -> bool:
        return str(site).split("/")[0] == self.found.backend

    def _placed(self, name: str, site: str) -> None:
        arguments = ["submit", "-f", f"networks/{name}.yaml", "--wait"]
        self.say.command(" ".join(arguments))
        self.say.waiting("running")
        answer = self.told.run(arguments, expected=0)
        self.say.done_waiting()
        self.say.output(answer.stdout.splitlines()[0])
        with self.told.world.client() as client:
            job = client.find(name)
        story.claim(job.succeeded, f"{name} ended {job.phase} {job.reason}")
        story.claim(self._mine(job.site), f"{name} ran on {job.site}, not on a site of {self.found.backend}")
        self.say.command(f"logs {name}")
        said = self.told.run(["logs", name], expected=0).stdout
        self.say.output(said)
        story.claim("hello from" in said, f"{name} said {said!r}")
        self.say.checked(f"ran on {job.site}, {components.TITLES[self.found.name]}{_differs(str(job.site), site)}")

    def _refused(self, name: str) -> None:
        plan = self.told.show_plan(f"networks/{name}.yaml", placeable=False)
        codes = {site: found for site, found in story.refusals(plan.sites).items() if self._mine(site)}
        story.claim(bool(codes), f"no site of {self.found.backend} was judged")
        for site, found in codes.items():
            story.claim(CERTIFICATE in found, f"{site} is refused for {found}, not for {CERTIFICATE}")
        arguments = ["submit", "-f", f"networks/{name}.yaml", "--wait", "--cancel-if-unplaceable"]
        self.say.command(" ".join(arguments))
        self.say.output(self.told.run(arguments, expected=3).stderr)
        with self.told.world.client() as client:
            job = client.find(name)
        story.claim(not job.attempts, f"the refused job was tried {len(job.attempts)} times")
        self.say.checked(f"French health data was refused at every site of {self.found.backend}: {CERTIFICATE}")


def _differs(ran: str, planned: str) -> str:
    return "" if ran == planned else f" (planned was {planned}; what was offered had changed)"
