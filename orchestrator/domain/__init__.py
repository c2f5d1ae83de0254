"""The words of Comity as values: jobs, sites, offers, facts, reasons, and the life of a job.

Frozen, slotted dataclasses and pure functions. No I/O, no clock, no randomness, no third-party library.
"""
