"""Write log events to the journal, to a terminal or as JSON, without secrets.

An event is a constant sentence and fields: `logger.info("Option stream is live", extra=fields(symbols=8))`. If someone
may have to act on it, its stable identifier is the field `code`. Where several processes write to one log, the field
`process` comes first and names the one that writes. The format depends on stderr:

    the journal     an entry: MESSAGE is the line, and each field has its own name (`CONDORD_CODE`)
    anything else   time, level, sentence and `key=value`; in colour on a terminal, unless NO_COLOR is set
    format json     time, level, logger, event and fields, wherever stderr leads

One event is one line: control characters are escaped, so that text from outside cannot forge a second event. Registered
secrets are replaced by `***`. An event that cannot be written is lost; logging never stops or blocks the daemon.
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

from condord.host import journal, stderr
from condord.host.redaction import Redaction

Value = str | int | float | bool | None | list["Value"]

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_PRIORITIES = {"critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7}
_COLOURS = {"critical": 31, "error": 31, "warning": 33, "debug": 2}
_QUIET = ("websockets", "urllib3", "asyncio", "uvicorn", "sse_starlette", "alpaca")
_BARE = re.compile(r"[\w.:/@+*%,-]+", re.ASCII)
_MAX_VALUES = 100
"""How many values of a list become fields of an entry; journald drops entries of more than 1024 fields."""


class RevealableSecret(Protocol):
    """A secret that can be revealed, such as `condord.config.credentials.Secret`."""

    def reveal(self) -> str:
        """The text itself."""
        ...


def fields(**values: object) -> dict[str, object]:
    """The fields of a log event, for `extra=`.

    In JSON, numbers, booleans, None and lists of them stay as they are; anything else becomes text.
    """
    return {"fields": values}


def configure(
    level: Literal["debug", "info", "warning", "error"],
    format: Literal["text", "json"],  # noqa: A002  # it is called so in the configuration
    *,
    secrets: Sequence[RevealableSecret],
    environ: Mapping[str, str],
    process: str = "",
    stream: TextIO | None = None,
) -> None:
    """Make the root logger write as configured; a second call replaces the first.

    Args:
        level: the least severe level that is written.
        format: `text` for people or `json` for programs.
        secrets: what must never be written.
        environ: the environment, which shows whether `stream` is the journal, and whether to use colours.
        process: what each event calls this process, such as `worker-2`; empty if no other writes to this log.
        stream: where to write, stderr if None.
    """
    stream = stream or sys.stderr
    redact = Redaction(secret.reveal() for secret in secrets)
    builder = _EventBuilder(redact, tracebacks=level == "debug", process=process)
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
        if isinstance(old, _LogOutput):
            root.removeHandler(old)
            old.close()
    root.addHandler(_LogOutput(builder, stream, line, entries))
    root.setLevel(_LEVELS[level])
    for name in _QUIET:
        logging.getLogger(name).setLevel(max(_LEVELS[level], logging.INFO))


class _LogEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event without secrets; `traceback` is empty unless it is shown."""

    at: dt.datetime
    level: str
    logger: str
    sentence: str
    fields: dict[str, Value]
    traceback: str


class _LogOutput(logging.Handler):
    """Writes the event of each record to the journal, or as a line to `stream`."""

    def __init__(
        self, builder: _EventBuilder, stream: TextIO, line: Callable[[_LogEvent], str], entries: journal.Journal | None
    ) -> None:
        super().__init__()
        self._builder = builder
        self._stream = stream
        self._line = line
        self._journal = entries
        # At debug these libraries print requests and handshakes with keys in them. A library may set the level of its
        # own logger later, so that level is not enough.
        self.addFilter(lambda record: record.levelno >= logging.INFO or not record.name.startswith(_QUIET))

    def emit(self, record: logging.LogRecord) -> None:
        """Write to the journal, or to the stream if journald does not take the event."""
        try:
            event = self._builder.build(record)
            if self._journal is None or not self._journal.send(_entry(event)):
                self._stream.write(self._line(event) + "\n")
                self._stream.flush()
        except Exception:  # noqa: BLE001  # logging never stops the daemon
            self.handleError(record)

    def flush(self) -> None:
        """Wait briefly until everything is written. The interpreter calls this when it exits."""
        stderr.drain(self._stream)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  # logging's name
        """Drop the event: the standard library would print its arguments, with the secrets in them."""

    def close(self) -> None:
        """Close the socket; an event that another thread is writing goes to the stream."""
        if self._journal is not None:
            self._journal.close()
        super().close()


class _EventBuilder:
    """Builds events from records: formats them and masks secrets."""

    def __init__(self, redact: Redaction, *, tracebacks: bool, process: str) -> None:
        self._redact = redact
        self._tracebacks = tracebacks
        self._label: dict[str, Value] = {"process": process} if process else {}

    def build(self, record: logging.LogRecord) -> _LogEvent:
        values = getattr(record, "fields", None)
        given = values.items() if isinstance(values, Mapping) else ()
        cleaned = self._label | {self._text(key): self._clean(value) for key, value in given}
        raised = record.exc_info[1] if record.exc_info else None
        if raised is not None:
            cleaned["error"] = self._text(_described(raised))
            cleaned["at"] = self._text(_innermost_line(raised))
        return _LogEvent(
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
            return value  # larger ones, and NaN, are not numbers in every JSON parser
        return text

    def _text(self, value: object) -> str:
        return self._redact(_written(value))


def _written(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001  # a broken __str__ must not cost the event
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


def _json_line(event: _LogEvent) -> str:
    time = event.at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    known = event.fields | ({"traceback": event.traceback} if event.traceback else {})
    return json.dumps(
        {"time": time, "level": event.level, "logger": event.logger, "event": event.sentence, "fields": known}
    )


def _terminal_line(event: _LogEvent, colours: Mapping[str, int]) -> str:
    level = f"{_escaped(event.level):<7}"
    if colour := colours.get(event.level):
        level = f"\x1b[{colour}m{level}\x1b[0m"
    return f"{event.at.astimezone():%Y-%m-%d %H:%M:%S} {level} " + "\n".join(_text_lines(event))


def _prefixed_line(event: _LogEvent) -> str:
    """The line for a stderr that is connected to the journal, with the level as in sd-daemon(3)."""
    prefix = f"<{_priority(event)}>"
    return "\n".join(prefix + line for line in _text_lines(event))


def _entry(event: _LogEvent) -> Iterator[tuple[str, str]]:
    """The fields of the journal's entry; a list becomes several fields of one name, so that each value can be found."""
    yield "MESSAGE", "\n".join(_text_lines(event))
    yield "PRIORITY", str(_priority(event))
    yield "SYSLOG_IDENTIFIER", "condord"
    yield "CONDORD_LOGGER", event.logger
    yield "CONDORD_EVENT", event.sentence
    for key, found in event.fields.items():
        values = found[:_MAX_VALUES] if isinstance(found, list) else [found]
        for value in values:
            if value is not None:
                yield journal.field_name(f"condord_{key}"), value if isinstance(value, str) else _word(value)


def _priority(event: _LogEvent) -> int:
    return _PRIORITIES.get(event.level, 6)


def _text_lines(event: _LogEvent) -> list[str]:
    """The line of the event, and those of its traceback, indented so that none of them looks like an event."""
    known = [f"{_escaped(key)}={_word(value)}" for key, value in event.fields.items() if value is not None]
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
