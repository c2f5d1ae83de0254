"""Filters: one question a file, each with a code, the facts it rests on, and what would change it."""
