"""Run Apprise in a child process for each message, with a deadline and without the daemon's environment."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from http.client import responses
from pathlib import Path
from typing import IO

import msgspec

from condord.notify.channel import Channel
from condord.notify.messages import Note
from condord.notify.outcome import Outcome

DEADLINE_SECONDS = 20.0
MAX_OUTCOME_BYTES = 4096
PASSED = (
    "PATH",
    "LANG",
    "LC_ALL",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)
"""The variables that the child gets. Others may contain keys."""
COMMAND = (sys.executable, "-I", str(Path(__file__).with_name("apprise_child.py")))

_TEXTS = {
    "sent": "Apprise sent it.",
    "failed": "Apprise could not send it.",
    "badUrl": "Apprise does not know this kind of URL.",
    "notInstalled": "Apprise is not installed: in condord's environment, pip install 'condord[notify]'",
}
_NOT_STARTED = Outcome(ok=False, text="Apprise cannot be started.", is_down=True)
_STOPPED = Outcome(ok=False, text="Apprise was stopped.", is_down=True)
_NO_OUTCOME = Outcome(ok=False, text="Apprise ended without an outcome.", is_down=True)
_LATE = Outcome(ok=False, text=f"Apprise did not end within {DEADLINE_SECONDS:g} seconds.", is_down=True)


class _Request(msgspec.Struct, frozen=True, kw_only=True):
    url: str
    title: str
    body: str
    type: str


class _Answer(msgspec.Struct, frozen=True, kw_only=True):
    outcome: str
    status: int | None = None


class AppriseProcesses:
    """The child processes. `environ` is the daemon's environment, of which they get only `PASSED`."""

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        command: Sequence[str] = COMMAND,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._environ = {name: environ[name] for name in PASSED if name in environ}
        self._command = tuple(command)
        self._deadline_seconds = deadline_seconds
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._is_stopped = False

    def send(self, channel: Channel, note: Note) -> Outcome:
        """Send a message, and return the outcome. This blocks until the child has ended."""
        url = channel.url.reveal().strip()
        request = msgspec.json.encode(_Request(url=url, title=note.title, body=note.body, type=note.type))
        process = self._start()
        if process is None:
            return _STOPPED if self._is_stopped else _NOT_STARTED
        try:
            line = _exchange(process, request, time.monotonic() + self._deadline_seconds)
        finally:
            self._end(process)
        outcome = _LATE if line is None else _outcome_of(line)
        return _STOPPED if self._is_stopped and not outcome.ok else outcome

    def stop(self) -> None:
        """Kill all children, and start no others."""
        with self._lock:
            self._is_stopped = True
            for process in self._running:
                _kill(process)

    def _start(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._is_stopped:
                return None
            try:
                process = subprocess.Popen(  # noqa: S603 - the command is our own, with nothing from outside
                    self._command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env=self._environ,
                    cwd="/",
                    start_new_session=True,
                )
            except OSError:
                return None
            self._running.add(process)
            return process

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Kill the remaining processes of the child's group, and reap the child, whose id is not reused before that."""
        with self._lock:
            self._running.discard(process)
            _kill(process)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                _close(pipe)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _exchange(process: subprocess.Popen[bytes], request: bytes, deadline: float) -> bytes | None:
    """Write the request, and return the output of the child; None if it does not end before the deadline."""
    sink, source = process.stdin, process.stdout
    if sink is None or source is None:  # for mypy: both are pipes
        raise AssertionError
    os.set_blocking(sink.fileno(), False)
    answer = b""
    with selectors.DefaultSelector() as selector:
        selector.register(source, selectors.EVENT_READ)
        selector.register(sink, selectors.EVENT_WRITE)
        while (left := deadline - time.monotonic()) > 0:
            for ready, _ in selector.select(left):
                if ready.fileobj is source:
                    chunk = os.read(source.fileno(), MAX_OUTCOME_BYTES)
                    answer += chunk
                    if not chunk or b"\n" in chunk or len(answer) > MAX_OUTCOME_BYTES:
                        return answer
                else:
                    request = _written(sink, request)
                    if not request:
                        selector.unregister(sink)
                        _close(sink)
    return None


def _written(sink: IO[bytes], request: bytes) -> bytes:
    """Write as much as fits into the pipe, and return the rest; nothing, if the child does not read any longer."""
    try:
        return request[os.write(sink.fileno(), request) :]
    except BlockingIOError:
        return request
    except OSError:
        return b""


def _close(pipe: IO[bytes]) -> None:
    with contextlib.suppress(OSError):
        pipe.close()


def _outcome_of(line: bytes) -> Outcome:
    try:
        answer = msgspec.json.decode(line, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _NO_OUTCOME
    text = _TEXTS.get(answer.outcome)
    if text is None:
        return _NO_OUTCOME
    if answer.outcome == "sent":
        return Outcome(ok=True, text=text)
    if answer.status in responses:
        text = f"{text} The service answered HTTP {answer.status} {responses[answer.status]}."
    return Outcome(ok=False, status=answer.status, text=text, is_down=True)
