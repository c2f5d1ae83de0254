"""Benchmarks: one module a figure, measured by ``python -m bench``. Not shipped, not timed in tests.

A figure is five repeats, its median with minimum and maximum, and a sentence that says what bounds it.
"""
