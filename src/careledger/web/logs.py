"""Structured logs that cannot carry a person's data.

Redaction is by type, not by search: a field is written only if it is a number, a truth value, or a text that was
declared safe where it was made (`Safe`: route templates, codes, request ids, names of sites and types). Anything
else becomes `redacted`. Messages are fixed texts; the arguments of foreign libraries' log calls are dropped unless
they are numbers, and exceptions are shown by type and place, never by message.
"""

from __future__ import annotations

import logging
import traceback
from typing import Final, TextIO

import msgspec

from careledger.primitives.errors import CodedError
from careledger.primitives.timestamps import format_instant

REDACTED: Final = "redacted"
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_FRAMES_MAX: Final = 12
_BUFFER_LINES_MAX: Final = 200
_ENCODER: Final = msgspec.json.Encoder()


class Safe(str):
    """A text of our own making that may be logged: no part of it came from a document or a person."""

    __slots__ = ()


def _redact(value: object) -> object:
    """Return a value if its type may be logged."""
    if isinstance(value, Safe):
        return str(value)
    return value if value is None or isinstance(value, (bool, int)) else REDACTED


def describe_error(error: BaseException) -> dict[str, object]:
    """Return an error's type, code and places, without its message."""
    frames = [
        f"{frame.filename.rpartition('/')[2]}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)[-_FRAMES_MAX:]
    ]
    found: dict[str, object] = {"type": type(error).__name__, "at": frames}
    if isinstance(error, CodedError):
        found["code"] = error.code.name
    if error.__cause__ is not None:
        found["cause"] = describe_error(error.__cause__)
    return found


class SafeFormatter(logging.Formatter):
    """Formats records of the standard library's loggers as one line of JSON each."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON; arguments and extra fields are redacted by type."""
        built: dict[str, object] = {
            "time": format_instant(int(record.created * 1_000)),
            "level": record.levelname,
            "logger": record.name,
            "event": record.msg if isinstance(record.msg, str) else REDACTED,
        }
        if isinstance(record.args, tuple) and record.args:
            built["arguments"] = [_redact(argument) for argument in record.args]
        for name, value in vars(record).items():
            if name not in _STANDARD:
                built[name] = _redact(value)
        if record.exc_info and record.exc_info[1] is not None:
            built["error"] = describe_error(record.exc_info[1])
        return msgspec.json.encode(built).decode()


class RequestLine(msgspec.Struct, kw_only=True):
    """One answered request, as it is logged. Every text comes from a `Safe` one or from the edge itself."""

    time: str = ""
    event: str = "request"
    site: str = ""
    request_id: str
    method: str
    route: str
    """Template of the route, never the path."""
    type: str
    """FHIR resource type, where there is one."""
    status: int
    code: str
    """Code of a refusal."""
    client: str
    duration_us: int


class RequestLog:
    """One line per answered request, written in small bunches so that a request does not wait for the stream."""

    def __init__(self, stream: TextIO, site: str) -> None:
        self._stream = stream
        self._site = site
        self._lines: list[bytes] = []
        self._second = -1
        self._prefix = ""

    def note(self, time_ms: int, line: RequestLine) -> None:
        """Add a line."""
        second, ms = divmod(time_ms, 1_000)
        if second != self._second:
            self._second, self._prefix = second, format_instant(time_ms)[:-4]
        line.time, line.site = f"{self._prefix}{ms:03d}Z", self._site
        self._lines.append(_ENCODER.encode(line))
        if len(self._lines) >= _BUFFER_LINES_MAX:
            self.flush()

    def flush(self) -> None:
        """Write what was noted."""
        if self._lines:
            lines, self._lines = self._lines, []
            self._stream.write(b"\n".join(lines).decode() + "\n")
            self._stream.flush()


def configure_logging(stream: TextIO, level: str = "INFO") -> None:
    """Send all of the process's log records through `SafeFormatter` to a stream."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(SafeFormatter())
    root = logging.getLogger()
    for old in list(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = name != "uvicorn.access"
