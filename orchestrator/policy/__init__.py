"""May this job go to this site? Rules as data, read row by row to explain and column by column to judge.

Pure: no I/O, no clock, no randomness. The policy clock, the facts and the rules are passed in. The files below
``packs/`` are data; ``orchestrator.sources`` reads them. This is engineering, not legal advice.
"""
