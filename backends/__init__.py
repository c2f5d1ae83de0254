"""Adapters that ship with Comity, one package each.

An adapter knows ``orchestrator.domain``, ``orchestrator.ports`` and ``orchestrator.settings``, and no other
adapter. The orchestrator never imports this package: adapters arrive by the entry point group
``orchestrator.backends``.
"""
