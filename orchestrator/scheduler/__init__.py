"""Snapshot -> plan: the order of the queue, quota, gangs, arrays, and one cycle. Pure: no I/O, no clock, no randomness.

The floor above policy and placement: it is the one that asks both and puts their answers together.
"""
