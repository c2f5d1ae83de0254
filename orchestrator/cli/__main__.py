"""``python -m orchestrator.cli``: the same as ``comity``."""

from orchestrator.cli import main

main.main()
