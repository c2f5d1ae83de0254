"""Logs: one JSON object a line on stderr. Bounded, and without anybody's secret: callers log codes and ids only."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from typing import Any, TextIO

if "rich" not in sys.modules:
    # structlog loads rich where it finds it, for pretty traces on a terminal: 5 MiB that JSON lines never need.
    sys.modules["rich"] = None  # type: ignore[assignment]  # what makes an import fail, says the documentation of import
    import structlog

    del sys.modules["rich"]
else:
    import structlog

VALUE_CHARACTERS_MAX = 2_000
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


def configure(level: str = "info", stream: TextIO | None = None) -> None:
    """Send the logs of this process, those of the standard library too, to ``stream`` (stderr) as JSON."""
    out = stream or sys.stderr
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _bounded,
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS.get(level, 20)),
        logger_factory=structlog.WriteLoggerFactory(file=out),
        cache_logger_on_first_use=True,
    )
    handler = _Bridge()
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(LEVELS.get(level, 20), logging.WARNING))


def get(name: str) -> Any:
    """Return a logger; ``log.info("event", key=value)``."""
    return structlog.get_logger().bind(part=name)


class _Bridge(logging.Handler):
    """What libraries log, as the same JSON lines."""

    def emit(self, record: logging.LogRecord) -> None:
        level = "error" if record.levelno >= logging.ERROR else "warning"
        getattr(structlog.get_logger().bind(part=record.name), level)("library", message=record.getMessage())


def _bounded(_: object, __: str, event: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: _cut(value) for key, value in event.items()}


def _cut(value: Any) -> Any:
    if isinstance(value, str) and len(value) > VALUE_CHARACTERS_MAX:
        return value[:VALUE_CHARACTERS_MAX] + "..."
    return value
