"""``demo``: the whole story, told and checked."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Mapping, Sequence

import click

from orchestrator.cli import failures
from orchestrator.cli.demo import components, elsewhere, machines, narration, story, tour
from orchestrator.client import errors


def _names(_: click.Context, __: click.Parameter, given: str) -> list[str]:
    """Return the names of a list with commas, each once."""
    names = list(dict.fromkeys(name.strip() for name in given.split(",") if name.strip()))
    for name in names:
        if name not in components.TITLES:
            raise click.BadParameter(f"{name!r} is none of {', '.join(components.TITLES)}")
    return names


@click.command(short_help="The whole story on this machine, with real processes.")
@click.option("--tour", "tours", is_flag=True, help="End with what no other system has, each with its command.")
@click.option(
    "--with",
    "names",
    default="",
    callback=_names,
    metavar="NAMES",
    help="Also a real Slurm cluster, a real Bacalhau network: slurm,bacalhau. From a checkout they are started; else"
    " COMITY_DEMO_SLURM and COMITY_DEMO_BACALHAU name files with documents of yours.",
)
def demo(tours: bool, names: list[str]) -> int:
    """Start a control plane and three places on this machine, train a classifier where rules allow it, kill the
    control plane meanwhile, and check every claim. Takes less than a minute and leaves nothing behind.

    \b
    Example:
      comity demo
      comity demo --tour
      comity demo --with slurm,bacalhau
    """
    if importlib.util.find_spec("sklearn") is None:
        failures.say("the demonstration trains a real classifier and needs scikit-learn")
        failures.hint("pip install 'comity[demo]'")
        return failures.FAILED
    say = narration.Narrator()
    began = time.monotonic()
    machines.interruptible()
    say.plain("Comity on this machine: one control plane, three places, real processes, a real training job.")
    try:
        with components.started(names, say) as found:
            if not _tell(say, found, tours=tours):
                return failures.FAILED
    except components.MissingError as error:
        say.done_waiting()
        failures.say(str(error))
        failures.hint(error.advice)
        return failures.FAILED
    finally:
        say.done_waiting()
    say.plain("")
    say.plain(f"Everything above was checked. {time.monotonic() - began:.0f} s; nothing is left running.")
    return failures.DONE


def _tell(say: narration.Narrator, found: Sequence[components.Component], *, tours: bool) -> bool:
    """Tell the story and its chapters, and say whether all was as claimed."""
    secrets: Mapping[str, str] = {key: text for one in found for key, text in one.environment.items()}
    with machines.world(secrets) as world:
        told = story.Story(world, say)
        try:
            told.prepare()
            for step in (told.health, told.free, told.impossible, told.survive, told.prove):
                step()
            for one in found:
                elsewhere.Elsewhere(told, one).tell()
            if tours:
                tour.tell(say)
        except (machines.DemoError, errors.ClientError) as error:
            say.done_waiting()
            failures.say(f"the demonstration differs from what it claims: {error}")
            failures.hint("please report this, with the lines above")
            return False
        say.waiting("cleaning up")
    return True
