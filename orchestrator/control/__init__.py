"""The control plane's hands: one loop that observes, plans, commits and acts. Synchronous, without threads of its own.

Everything it does can be done again by another loop that knows nothing but the store.
"""
