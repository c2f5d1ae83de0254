"""One module a kind of document: what may be written, with every bound. What is not built yet is parsed all the same.

A document is read with :func:`orchestrator.wire.documents.reading.read`; the models alone do not refuse what has no
meaning yet (:mod:`orchestrator.wire.unsupported` does).
"""
