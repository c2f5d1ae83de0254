"""``python -m tests.sim --hours N [--seed S]``: histories of new seeds until N simulated hours have passed."""

from __future__ import annotations

import argparse
import sys
import time
import traceback

from tests.sim import histories


def main() -> int:
    """Run; print each seed that fails."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--hours", type=float, default=1000.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=60)
    wanted = parser.parse_args()
    hours, seed, failed, started = 0.0, wanted.seed, 0, time.process_time()
    phases: set[object] = set()
    while hours < wanted.hours:
        try:
            result = histories.History(seed).run(wanted.steps)
            hours += result.hours
            phases |= result.phases
        except Exception as error:  # noqa: BLE001 -- each seed tells its own story
            failed += 1
            hours += 1
            print(f"seed {seed}: {type(error).__name__}: {error}")
            if not isinstance(error, AssertionError) or failed < 2:
                traceback.print_exc(limit=-6)
        seed += 1
    minutes = (time.process_time() - started) / 60
    pace = f"{hours:.0f} simulated hours, {hours / minutes:.0f} a CPU-minute"
    print(f"{seed - wanted.seed} histories, {pace}, {failed} failed, {len(phases)} phases")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
