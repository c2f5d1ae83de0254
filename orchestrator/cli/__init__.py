"""The command line: reads documents, speaks HTTP through the client, and shows the answer as a person reads it.

Modules of subcommands load when they are used: ``comity --help`` and ``comity get`` must start at once. No rule is
judged here, and no state is kept.
"""
