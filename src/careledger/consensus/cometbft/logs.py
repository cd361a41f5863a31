"""Logs of a node: one JSON object a line on standard error, engine and application joined.

Every line names the organisation's node and the part that speaks. What the engine writes is JSON already; its
fields are kept, its message and time get our names. Nothing of a transaction is ever logged.
"""

from __future__ import annotations

import json
import sys
from typing import TextIO

import structlog

_ENGINE_NAMES = {"_msg": "event", "ts": "timestamp"}
_LINE_CHARACTERS_MAX = 8_192


def configure_logging(node: str, part: str, stream: TextIO = sys.stderr) -> None:
    """Have this process log as one part of a node."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(20),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(node=node, part=part)


def joined_line(node: str, raw: bytes) -> str:
    """One line of the engine as a line of the joined log."""
    text = raw.decode("utf-8", "replace").rstrip()[:_LINE_CHARACTERS_MAX]
    try:
        fields = json.loads(text)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        fields = {"_msg": text, "level": "info"}
    named = {_ENGINE_NAMES.get(name, name): value for name, value in fields.items()}
    return json.dumps({"node": node, "part": "engine", **named}, separators=(",", ":"))
