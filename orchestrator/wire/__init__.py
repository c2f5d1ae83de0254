"""The documents and API models of version 1, as they stand on the wire.

Text in, values out: YAML and JSON are read within fixed bounds, checked against strict models, and turned into
domain values; domain values are turned back into the documents a user reads. It decides nothing. This package
imports nothing by itself, so that a caller that only reads YAML does not load pydantic.
"""
