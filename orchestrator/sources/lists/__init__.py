"""Sanctions and entity lists as their publishers give them out: one reader a format, and the folder that keeps them.

A reader takes the bytes of one whole file and gives entries, or one error that says where and what to do. A file that
is cut off, empty, or no longer in the published form is an error, never a shorter list. Nothing is fetched here.
"""
