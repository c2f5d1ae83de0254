"""``serve``: a control plane in the foreground."""

from __future__ import annotations

import datetime as dt
import os
import pathlib

import click

from orchestrator.cli import failures
from orchestrator.cli.commands.init import FOLDER
from orchestrator.plugins.lazy import lazy


def _retention(_context: click.Context, _parameter: click.Parameter, value: str) -> dt.timedelta | None:
    """Return the length of time that was written; None: never."""
    if value == "never":
        return None
    try:
        found: dt.timedelta = lazy("orchestrator.wire.quantities").parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}; write 30d, 12h or never") from error
    return found


def _grace(_context: click.Context, _parameter: click.Parameter, value: str) -> dt.timedelta:
    """Return the length of time that was written."""
    try:
        found: dt.timedelta = lazy("orchestrator.wire.quantities").parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(f"{error}; write 72h or 7d") from error
    return found


@click.command(short_help="Run a control plane.")
@click.option("--listen", metavar="HOST:PORT", help="Where to listen; port 0 takes a free one.  [127.0.0.1:7070]")
@click.option("--state", "state_dir", metavar="DIR", help="State folder.  [$COMITY_STATE_DIR or ~/.local/state/comity]")
@click.option("--database", metavar="URL", help="Instead of SQLite in the state folder.")
@click.option("--documents", "documents_dir", metavar="DIR", help=f"Documents applied at start.  [./{FOLDER} if there]")
@click.option("--secrets-dir", metavar="DIR", help="Files that settings of a Backend may name.")
@click.option("--tls-cert", metavar="FILE")
@click.option("--tls-key", metavar="FILE")
@click.option("--insecure-behind-proxy", is_flag=True, help="A proxy in front ends TLS; say so aloud.")
@click.option("--allow-host", "allowed_hosts", multiple=True, metavar="NAME", help="A name under which we are reached.")
@click.option("--policy-tests-required", is_flag=True, help="Take no policy of the house's own without tests.")
@click.option("--trust", metavar="FILE", help="Whom to trust to certify facts.  [trust.yaml in the state folder]")
@click.option(
    "--rates", multiple=True, metavar="FILE", help="Dated exchange rates; without any, foreign prices refuse."
)
@click.option("--distances", multiple=True, metavar="FILE", help="Round-trip times of yours, over those that ship.")
@click.option(
    "--forget-after",
    metavar="TIME",
    callback=_retention,
    default="7d",
    show_default=True,
    help="So long after a job ended its logs and kept outputs go at its backend; or never.",
)
@click.option(
    "--one-person/--no-one-person",
    default=None,
    help="Whether one token may state facts, write policy and submit. It stays as it was; at the first start it may.",
)
@click.option("--packs", metavar="DIR", help="Folder of packs in place of those that ship; SIGHUP reads it again.")
@click.option("--pack-off", "packs_off", multiple=True, metavar="NAME", help="A pack that is not in force; journaled.")
@click.option("--pack-on", "packs_on", multiple=True, metavar="NAME", help="A preview that is in force.")
@click.option(
    "--stale-grace",
    metavar="TIME",
    callback=_grace,
    default="72h",
    show_default=True,
    help="So long a running job may stay where nothing but the age of facts refuses it.",
)
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
def serve(
    listen: str | None,
    state_dir: str | None,
    database: str | None,
    documents_dir: str | None,
    secrets_dir: str | None,
    tls_cert: str | None,
    tls_key: str | None,
    insecure_behind_proxy: bool,
    allowed_hosts: tuple[str, ...],
    policy_tests_required: bool,
    trust: str | None,
    distances: tuple[str, ...],
    rates: tuple[str, ...],
    forget_after: dt.timedelta | None,
    one_person: bool | None,
    packs: str | None,
    packs_off: tuple[str, ...],
    packs_on: tuple[str, ...],
    stale_grace: dt.timedelta,
    log_level: str,
) -> int:
    """Run a control plane until it is told to stop; jobs outlive it. State is one folder with one SQLite file.

    \b
    Example:
      comity serve
      comity serve --listen 127.0.0.1:7071 --state ./state
    """
    if documents_dir is None and pathlib.Path(FOLDER).is_dir():
        documents_dir = FOLDER
    adapters = lazy("orchestrator.settings.adapters")
    try:
        settings = lazy("orchestrator.settings.server").ServerSettings.resolve(
            os.environ,
            listen=listen,
            state_dir=state_dir,
            database=database,
            documents_dir=documents_dir,
            secrets_dir=secrets_dir,
            tls_cert=tls_cert,
            tls_key=tls_key,
            insecure_behind_proxy=insecure_behind_proxy,
            allowed_hosts=allowed_hosts,
            distances=distances,
            rates=rates,
            forget_after=forget_after,
            one_person=one_person,
            packs=packs,
            packs_off=packs_off,
            packs_on=packs_on,
            stale_grace=stale_grace,
            log_level=log_level,
            policy_tests_required=policy_tests_required,
            trust=trust,
        )
    except adapters.SettingsError as error:
        for problem in error.problems:
            failures.say(problem)
        return failures.USAGE
    code = lazy("orchestrator.bootstrap").serve(settings)
    return int(code or 0)
