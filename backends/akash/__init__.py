"""Akash. Its deployment language is here; nothing speaks to the network yet, so no adapter of this name is offered."""
