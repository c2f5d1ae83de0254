"""What runs on a node of Ray, between its supervisor and a job's command. Linux, Python 3.9, no library.

Its modules are sent with each job as they stand here (``packages``), so they import nothing of Comity but each other,
and nobody there installs anything. It gives the command a folder of its own, ends every descendant when the command
ends or is stopped, holds time limit and size of the log, and keeps outputs.
"""
