"""Readers of the data that Comity ships or is given: packs, fact files, country and accelerator lists.

The only place where policy data meets the file system. What comes out is plain data or frozen values.
"""
