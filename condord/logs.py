"""Decides how a log event looks, where it goes, and what never gets there.

Rules:
    An event is a constant sentence and fields: `logger.info("Option stream is live", extra=fields(symbols=8))`. One
    that somebody may have to act on has its stable word as the field `code`.
    Where stderr is the journal, an event is an entry of it: MESSAGE is the line, and each field has a name of its own
    beside it (`CONDORD_CODE`). What journald does not take goes to stderr in that moment, the level as a prefix `<N>`
    (sd-daemon(3)). The time is the journal's.
    Elsewhere lines have time, level, sentence and `key=value`; a terminal has colours for levels, unless NO_COLOR.
    JSON lines have time, level, logger, event and fields, and go to stderr wherever that leads.
    One event is one line: what would break it is escaped, so that nobody outside can write a second one. What is not
    known (None) stands in JSON alone.
    Registered secrets become `***` wherever they stand, as `redaction` finds them.
    An exception is two fields, `error` and `at` (the innermost line of code); the traceback is for level debug.
    Libraries that print requests or handshakes at debug, with keys in them, never go below info.
    An event that cannot be written is lost; logging never stops the daemon.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
import logging
import re
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol, TextIO

import msgspec

from condord import journal
from condord.redaction import Redaction

Value = str | int | float | bool | None | list["Value"]

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_PRIORITIES = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}
_COLOURS = {"critical": 31, "error": 31, "warning": 33, "debug": 2}
_QUIET = ("websockets", "urllib3", "asyncio", "uvicorn", "sse_starlette", "alpaca")
_BARE = re.compile(r"[\w.:/@+*%,-]+", re.ASCII)
_MOST_VALUES = 100
"""How many values of a list are fields of a journal's entry; journald drops one with more than 1024 fields."""


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
        environ: the environment, which says whether `stream` is the journal, and whether colours are wanted.
        stream: where to write, stderr if None.
    """
    stream = stream or sys.stderr
    reader = _Reader(Redaction(secret.reveal() for secret in secrets), tracebacks=level == "debug")
    entries = journal.opened(environ, stream) if format == "text" else None
    if format == "json":
        line = _json_line
    elif entries is not None:
        line = _prefixed_line
    else:
        is_coloured = stream.isatty() and not environ.get("NO_COLOR")
        line = functools.partial(_terminal_line, colours=_COLOURS if is_coloured else {})
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(old, _Output):
            root.removeHandler(old)
            old.close()
    root.addHandler(_Output(reader, stream, line, entries))
    root.setLevel(_LEVELS[level])
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(_LEVELS[level], logging.INFO))


class _Event(msgspec.Struct, frozen=True, kw_only=True):
    """What is said, without secrets; `traceback` is empty where there is none to show."""

    at: dt.datetime
    level: str
    logger: str
    sentence: str
    fields: dict[str, Value]
    traceback: str


class _Output(logging.Handler):
    """Gives what `reader` makes of each record to the journal, or as a line to `stream`."""

    def __init__(
        self, reader: _Reader, stream: TextIO, line: Callable[[_Event], str], entries: journal.Journal | None
    ) -> None:
        super().__init__()
        self._reader = reader
        self._stream = stream
        self._line = line
        self._journal = entries
        # a library may set its own level later, so the level of its logger is not enough
        self.addFilter(lambda record: record.levelno >= logging.INFO or not record.name.startswith(_QUIET))

    def emit(self, record: logging.LogRecord) -> None:
        """Write, to the journal if it takes it."""
        try:
            event = self._reader.read(record)
            if self._journal is None or not self._journal.send(_entry(event)):
                self._stream.write(self._line(event) + "\n")
                self._stream.flush()
        except Exception:  # noqa: BLE001  # logging never stops the daemon
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        """Lose the event: the standard answer prints its arguments, with the secrets in them."""

    def close(self) -> None:
        """Give the socket back; an event that is under way on another thread goes to the stream."""
        if self._journal is not None:
            self._journal.close()
        super().close()


class _Reader:
    """Makes an event of a record."""

    def __init__(self, hide: Redaction, *, tracebacks: bool) -> None:
        self._hide = hide
        self._tracebacks = tracebacks

    def read(self, record: logging.LogRecord) -> _Event:
        values = getattr(record, "fields", None)
        given = values.items() if isinstance(values, Mapping) else ()
        cleaned = {self._text(key): self._clean(value) for key, value in given}
        raised = record.exc_info[1] if record.exc_info else None
        if raised is not None:
            cleaned["error"] = self._text(_described(raised))
            cleaned["at"] = self._text(_innermost_line(raised))
        return _Event(
            at=dt.datetime.fromtimestamp(record.created, dt.UTC),
            level=self._text(record.levelname.lower()),
            logger=self._text(record.name),
            sentence=self._text(_sentence(record)),
            fields=cleaned,
            traceback=self._text(_traceback(raised)) if raised and self._tracebacks else "",
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
        return self._hide(_written(value))


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


def _terminal_line(event: _Event, colours: Mapping[str, int]) -> str:
    level = f"{_escaped(event.level):<7}"
    if colour := colours.get(event.level):
        level = f"\x1b[{colour}m{level}\x1b[0m"
    return f"{event.at.astimezone():%Y-%m-%d %H:%M:%S} {level} " + "\n".join(_text_lines(event))


def _prefixed_line(event: _Event) -> str:
    prefix = f"<{_priority(event)}>"
    return "\n".join(prefix + line for line in _text_lines(event))


def _entry(event: _Event) -> Iterator[tuple[str, str]]:
    """The entry of the journal: a list is a field with several values, so that each can be looked for."""
    yield "MESSAGE", "\n".join(_text_lines(event))
    yield "PRIORITY", str(_priority(event))
    yield "SYSLOG_IDENTIFIER", "condord"
    yield "CONDORD_LOGGER", event.logger
    yield "CONDORD_EVENT", event.sentence
    for key, of in event.fields.items():
        values = of[:_MOST_VALUES] if isinstance(of, list) else [of]
        for value in values:
            if value is not None:
                yield journal.field_name(f"condord_{key}"), value if isinstance(value, str) else _word(value)


def _priority(event: _Event) -> int:
    return _PRIORITIES.get(event.level, 6)


def _text_lines(event: _Event) -> list[str]:
    """The line of the event and, indented so that none of them looks like an event, those of its traceback."""
    known = [f"{_escaped(key)}={_word(of)}" for key, of in event.fields.items() if of is not None]
    words = [_escaped(event.sentence), *known]
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
