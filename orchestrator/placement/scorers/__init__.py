"""Scorers: how well a job fits a site, one number a file; whole micro-units, lower is better."""
