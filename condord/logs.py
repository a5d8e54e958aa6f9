"""Decides how a log event looks on stderr, and what never gets there.

Rules:
    An event is a constant sentence and fields: `logger.info("Option stream is live", extra=fields(symbols=8))`.
    Text lines have time, level, sentence and `key=value`. Under systemd (`JOURNAL_STREAM`) the time is left to
    the journal and the level is a prefix `<N>` (sd-daemon(3)). JSON lines have time, level, logger, event, fields.
    One event is one line: what would break it is escaped, so that nobody outside can write a second one.
    Registered secrets become `***` wherever they stand, plain or escaped.
    An exception is two fields, `error` and `at` (the innermost line of code); the traceback is for level debug.
    Libraries that print requests or handshakes at debug, with keys in them, never go below info.
    An event that cannot be written is lost; logging never stops the daemon.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol, TextIO
from urllib.parse import quote

import msgspec

Value = str | int | float | bool | None | list["Value"]

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_PRIORITIES = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}
_QUIET = ("websockets", "urllib3", "asyncio", "uvicorn", "sse_starlette", "alpaca")
_BARE = re.compile(r"[\w.:/@+*%,-]+", re.ASCII)


class Revealing(Protocol):
    """A secret whose text can be had, as `condord.credentials.Secret`."""

    def reveal(self) -> str:
        """The text itself."""
        ...


def fields(**values: object) -> dict[str, object]:
    """The fields of an event, for `extra=`.

    Numbers, booleans, None and lists of them stay what they are in JSON; anything else becomes its text.
    """
    return {"fields": values}


def configure(
    level: Literal["debug", "info", "warning", "error"],
    format: Literal["text", "json"],  # noqa: A002  # it is called so in the configuration
    *,
    secrets: Sequence[Revealing],
    environ: Mapping[str, str],
    stream: TextIO | None = None,
) -> None:
    """Make the root logger write as configured; called again, the new configuration replaces the old.

    Args:
        level: the least severe level that is written.
        format: lines for people or for programs.
        secrets: all that must never be written.
        environ: the environment, in which systemd says that stderr is the journal.
        stream: where to write, stderr if None.
    """
    text_line = _journal_line if environ.get("JOURNAL_STREAM") else _terminal_line
    line = _json_line if format == "json" else text_line
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(old, _Output):
            root.removeHandler(old)
    formatter = _Formatter(line, [secret.reveal() for secret in secrets], tracebacks=level == "debug")
    root.addHandler(_Output(stream or sys.stderr, formatter))
    root.setLevel(_LEVELS[level])
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(_LEVELS[level], logging.INFO))


class _Event(msgspec.Struct, frozen=True, kw_only=True):
    """What a line says, without secrets; `traceback` is empty where there is none to show."""

    at: dt.datetime
    level: str
    logger: str
    sentence: str
    fields: dict[str, Value]
    traceback: str


class _Output(logging.StreamHandler[TextIO]):
    def __init__(self, stream: TextIO, formatter: logging.Formatter) -> None:
        super().__init__(stream)
        self.setFormatter(formatter)
        # a library may set its own level later, so the level of its logger is not enough
        self.addFilter(lambda record: record.levelno >= logging.INFO or not record.name.startswith(_QUIET))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        """Lose the event: the standard answer prints its arguments, with the secrets in them."""


class _Formatter(logging.Formatter):
    def __init__(self, line: Callable[[_Event], str], secrets: list[str], *, tracebacks: bool) -> None:
        super().__init__()
        self._line = line
        self._tracebacks = tracebacks
        forms = {form for secret in secrets if secret for form in _forms(secret)}
        longest_first = sorted(forms, key=len, reverse=True)
        self._secrets = re.compile("|".join(map(re.escape, longest_first)) or r"(?!)")

    def format(self, record: logging.LogRecord) -> str:
        values = getattr(record, "fields", None)
        given = values.items() if isinstance(values, Mapping) else ()
        cleaned = {self._text(key): self._clean(value) for key, value in given}
        raised = record.exc_info[1] if record.exc_info else None
        if raised is not None:
            cleaned["error"] = self._text(_described(raised))
            cleaned["at"] = _innermost_line(raised)
        return self._line(
            _Event(
                at=dt.datetime.fromtimestamp(record.created, dt.UTC),
                level=record.levelname.lower(),
                logger=record.name,
                sentence=self._text(_sentence(record)),
                fields=cleaned,
                traceback=self._text(_traceback(raised)) if raised and self._tracebacks else "",
            )
        )

    def _clean(self, value: object) -> Value:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, list | tuple):
            return [self._clean(part) for part in value]
        text = self._text(value)
        if isinstance(value, int | float) and abs(value) < 2**63 and text == str(value):
            return value  # what is larger, or NaN, is no number of JSON that all can read
        return text

    def _text(self, value: object) -> str:
        return self._secrets.sub("***", _written(value))


def _forms(secret: str) -> tuple[str, ...]:
    """How a secret may be written: as it is, in JSON, by `repr`, and in a URL."""
    return (secret, json.dumps(secret)[1:-1], repr(secret)[1:-1], quote(secret, safe=""), quote(secret))


def _written(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001  # a value that cannot say what it is must not cost the event
        return f"({type(value).__name__})"


def _sentence(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001  # arguments that do not fit the sentence must not cost the event
        return f"{record.msg} {_written(record.args)}"


def _described(raised: BaseException) -> str:
    return f"{type(raised).__name__}: {_written(raised)}".removesuffix(": ")


def _innermost_line(raised: BaseException) -> str:
    frames = list(traceback.walk_tb(raised.__traceback__))
    return f"{Path(frames[-1][0].f_code.co_filename).name}:{frames[-1][1]}" if frames else "unknown"


def _traceback(raised: BaseException) -> str:
    return "".join(traceback.format_exception(raised)).rstrip("\n")


def _json_line(event: _Event) -> str:
    time = event.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    known = event.fields | ({"traceback": event.traceback} if event.traceback else {})
    return json.dumps(
        {"time": time, "level": event.level, "logger": event.logger, "event": event.sentence, "fields": known}
    )


def _terminal_line(event: _Event) -> str:
    return f"{event.at.astimezone():%Y-%m-%d %H:%M:%S} {event.level:<7} " + "\n".join(_text_lines(event))


def _journal_line(event: _Event) -> str:
    prefix = f"<{_PRIORITIES.get(event.level, 6)}>"
    return "\n".join(prefix + line for line in _text_lines(event))


def _text_lines(event: _Event) -> list[str]:
    """The line of the event and, indented so that none of them looks like an event, those of its traceback."""
    words = [_escaped(event.sentence), *(f"{_escaped(key)}={_word(of)}" for key, of in event.fields.items())]
    return [" ".join(words), *("    " + _escaped(line) for line in event.traceback.splitlines())]


def _word(value: Value) -> str:
    if isinstance(value, list):
        return "[" + ",".join(map(_word, value)) + "]"
    if isinstance(value, str):
        return value if _BARE.fullmatch(value) else _escaped(json.dumps(value, ensure_ascii=False))
    return json.dumps(value)


def _escaped(text: str) -> str:
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
