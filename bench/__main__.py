"""``python -m bench B1 B3 ... [--all] [--json] [--quick] [--peers] [--write FILE]``."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from bench import figures


def main(arguments: list[str]) -> int:
    """Measure the figures named and print them: a table, or one JSON object a figure."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure Comity's figures.")
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help="B1 B3 ...")
    parser.add_argument("--all", action="store_true", help="every figure there is")
    parser.add_argument("--json", action="store_true", help="one JSON object a figure on stdout, nothing else")
    parser.add_argument("--quick", action="store_true", help="less work: shows that it runs, measures nothing")
    parser.add_argument("--peers", action="store_true", help="also run the peers that are installed")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write a Markdown table")
    chosen = parser.parse_args(arguments)
    if not chosen.figures and not chosen.all:
        parser.error("name a figure, or say --all")
    try:
        wanted = figures.load(None if chosen.all else chosen.figures)
    except KeyError as unknown:
        parser.error(f"there is no figure {unknown.args[0]}")
    options = figures.Options(quick=chosen.quick, peers=chosen.peers)
    machine = figures.machine()
    pages = []
    for figure in wanted:
        print(f"measuring {figure.name}: {figure.title}", file=sys.stderr)
        result = figure.measure(options)
        if chosen.json:
            print(json.dumps(as_json(figure, result, machine)))
        else:
            print(as_text(figure, result))
        pages.append(as_markdown(figure, result))
    if chosen.write:
        chosen.write.write_text(page(pages, machine, quick=chosen.quick), encoding="utf-8")
    return 0


def as_json(figure: figures.Figure, result: figures.Result, machine: dict[str, object]) -> dict[str, object]:
    """Return the object that ``--json`` prints."""
    found: dict[str, object] = {
        "figure": figure.name,
        "machine": machine,
        "metrics": {name: None if metric is None else asdict(metric) for name, metric in result.metrics.items()},
        "peers": dict(result.peers),
        "bound_by": result.bound_by,
    }
    for name in ("notes", "loses"):
        if getattr(result, name):
            found[name] = list(getattr(result, name))
    if result.known:
        found["known"] = dict(result.known)
    return found


def as_text(figure: figures.Figure, result: figures.Result) -> str:
    """Return a figure for a terminal."""
    lines = [f"{figure.name}  {figure.title}"]
    for name, metric in result.metrics.items():
        if metric is None:
            lines.append(f"  {name:<32} {'not built':>10}")
            continue
        lines.append(
            f"  {name:<32} {metric.median:>10g} {metric.unit:<5} [{metric.min:g} .. {metric.max:g}]  {_target(metric)}"
        )
    lines += [f"  peer {name}: {numbers}" for name, numbers in result.peers.items()]
    lines += [f"  {note}" for note in (*result.notes, f"bound by {result.bound_by}")]
    return "\n".join(lines)


def as_markdown(figure: figures.Figure, result: figures.Result) -> str:
    """Return a figure as a section of the page."""
    lines = [
        f"## {figure.name}: {figure.title}",
        "",
        "| metric | median | min | max | unit | target | |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, m in result.metrics.items():
        if m is None:
            lines.append(f"| `{name}` | not built | | | | | |")
            continue
        target = "" if m.target is None else f"{'<=' if m.better == 'lower' else '>='} {m.target:g}"
        met = {None: "", True: "met", False: "**missed**"}[m.met]
        lines.append(f"| `{name}` | {m.median:g} | {m.min:g} | {m.max:g} | {m.unit} | {target} | {met} |")
    lines += ["", *(f"- {_sentence(note)}" for note in result.notes)]
    lines += [f"- Peer in the same run, {name}: {_numbers(numbers)}." for name, numbers in result.peers.items()]
    if result.known:
        peers = "; ".join(f"{name} {numbers}" for name, numbers in result.known.items())
        lines.append(f"- Peers, measured on two cores on 2026-11-22 or published: {peers}.")
    lines += [f"- Where a peer wins: {text}." for text in result.loses]
    lines.append(f"- Bound by {result.bound_by}.")
    return "\n".join(lines)


def page(sections: list[str], machine: dict[str, object], *, quick: bool) -> str:
    """Return the whole page."""
    on = ", ".join(f"{name} {value}" for name, value in machine.items())
    warning = "\nMeasured with `--quick`: these numbers only show that it runs.\n" if quick else ""
    head = (
        f"# Benchmarks\n\nWritten by `make bench` on: {on}.\nFive repeats each: median, minimum, maximum.\n{warning}\n"
        "Peers that are installed run in the same run with `python -m bench --all --peers`. SkyPilot, the peer of B1, "
        "wants an\nenvironment of its own, made by hand: "
        "`python3 -m venv .venv-peers && .venv-peers/bin/pip install skypilot==0.14.1`.\n"
    )
    return head + "\n" + "\n\n".join(sections) + "\n"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _numbers(value: object) -> str:
    """Return numbers of a peer as words."""
    if not isinstance(value, dict):
        return str(value)
    if value.keys() == {"median", "min", "max"}:
        return f"{value['median']:g} [{value['min']:g} .. {value['max']:g}]"
    return ", ".join(f"{name} {_numbers(each)}" for name, each in value.items())


def _target(metric: figures.Metric) -> str:
    if metric.target is None:
        return ""
    sign = "<=" if metric.better == "lower" else ">="
    return f"target {sign} {metric.target:g}: {'met' if metric.met else 'MISSED'}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
