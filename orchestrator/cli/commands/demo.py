"""``demo``: the whole story, told and checked."""

from __future__ import annotations

import importlib.util
import time

import click

from orchestrator.cli import failures
from orchestrator.cli.demo import machines, narration, story, tour
from orchestrator.client import errors


@click.command(short_help="The whole story on this machine, with real processes.")
@click.option("--tour", "tours", is_flag=True, help="End with what no other system has, each with its command.")
def demo(tours: bool) -> int:
    """Start a control plane and three places on this machine, train a classifier where rules allow it, kill the
    control plane meanwhile, and check every claim. Takes less than a minute and leaves nothing behind.

    \b
    Example:
      comity demo
      comity demo --tour
    """
    if importlib.util.find_spec("sklearn") is None:
        failures.say("the demonstration trains a real classifier and needs scikit-learn")
        failures.hint("pip install 'comity[demo]'")
        return failures.FAILED
    say = narration.Narrator()
    began = time.monotonic()
    say.plain("Comity on this machine: one control plane, three places, real processes, a real training job.")
    try:
        with machines.world() as world:
            told = story.Story(world, say)
            try:
                told.prepare()
                for step in (told.health, told.free, told.impossible, told.survive, told.prove):
                    step()
                if tours:
                    tour.tell(say)
            except (machines.DemoError, errors.ClientError) as error:
                say.done_waiting()
                failures.say(f"the demonstration differs from what it claims: {error}")
                failures.hint("please report this, with the lines above")
                return failures.FAILED
            say.waiting("cleaning up")
    finally:
        say.done_waiting()
    say.plain("")
    say.plain(f"Everything above was checked. {time.monotonic() - began:.0f} s; nothing is left running.")
    return failures.DONE
