"""The real programs as child processes on loopback, and a client that records what it receives."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from condord.cli.mirror import Mirror
from condord.client.http import Daemon
from condord.client.sse import EventParser
from condord.errors import CondordError
from tests.e2e.preloaded import Preloaded

TIMEOUT_SECONDS = 60.0
READ_TIMEOUT_SECONDS = 150.0
"""For the contracts and orders of a large account on a busy machine: a read that fails is repeated after growing waits."""
PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.05, 0.2
SHARE_OF_WAIT = 0.1
STOP_SECONDS = 10.0
"""The daemon must stop within five seconds; a busy machine gets twice that."""
FILLING = "#" * 511 + "\n"
DATED_NOTICES = frozenset({"expiresToday", "lastTradingDay", "expired"})
"""Notices that come and go with the date, whatever a test does: on some days a contract of the account expires."""
KEYS = {"APCA_API_KEY_ID": "KEYFORTESTS", "APCA_API_SECRET_KEY": "secret-for-tests"}


def until(condition, what, timeout: float = TIMEOUT_SECONDS, pause: float | None = None):
    """The first true value of `condition()`; after `timeout` seconds fails with `what`, a text or a function.

    It checks every `pause` seconds. By default that is a tenth of the time so far: each check costs 2 ms of a processor.
    """
    began = time.monotonic()
    while (passed := time.monotonic() - began) < timeout:
        if value := condition():
            return value
        time.sleep(min(max(passed * SHARE_OF_WAIT, PAUSE_SECONDS), LONGEST_PAUSE_SECONDS) if pause is None else pause)
    raise AssertionError(f"timed out after {timeout:g} s: {what() if callable(what) else what}")


def free_port() -> int:
    """A TCP port that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


def answers(at: Path) -> bool:
    """Whether a daemon answers at a unix socket; the file exists a moment before the daemon listens."""
    with contextlib.suppress(CondordError):
        return bool(Daemon(f"unix://{at}").status())
    return False


def fetch(url: str, *, method: str = "GET", body: object = None, headers: dict[str, str] | None = None):
    """Status, headers and JSON (or text) of a response, whatever its status."""
    payload = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, method=method, data=payload, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:
            return answer.status, answer.headers, _decoded(answer)
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.status, answer.headers, _decoded(answer)


def _decoded(answer):
    raw = answer.read()
    return json.loads(raw) if "json" in answer.headers.get("Content-Type", "") else raw.decode()


def _filled(pipe: int) -> bool:
    """Fill a non-blocking pipe; returns whether there was room."""
    room = False
    with contextlib.suppress(BlockingIOError):
        while os.write(pipe, FILLING.encode()):
            room = True
    return room


def token_environ(folder: Path, token: str) -> dict[str, str]:
    """Write a token file into `folder`; returns the environment that makes a daemon require this token."""
    path = folder / "token"
    path.write_text(token)
    path.chmod(0o600)
    return {"CONDORD_SERVER_TOKEN_FILE": str(path)}


class Program:
    """A running `condord …` whose stderr is collected."""

    MAY_BE_PRELOADED = False

    def __init__(self, *arguments: str, environ: dict[str, str] | None = None) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("APCA_", "CONDORD_"))}
        whole = {**clean, "HOME": "/nonexistent", **(environ or {})}
        if self.MAY_BE_PRELOADED and not whole.get("PYTHONPATH"):
            self.process = Preloaded([*arguments], whole)
        else:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "condord", *arguments],
                env=whole,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        self.stderr: list[str] = []
        self._is_read = threading.Event()
        self._is_read.set()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in iter(self.process.stderr.readline, ""):
            if line != FILLING:
                self.stderr.append(line)
            self._is_read.wait()

    @contextmanager
    def blocked_stderr(self) -> Iterator[None]:
        """Keep its stderr, a pipe, full and unread while the context is open."""
        self._is_read.clear()
        # Open the same pipe again: O_NONBLOCK on the program's own file description would change its behaviour.
        pipe = os.open(f"/proc/{self.process.pid}/fd/2", os.O_WRONLY | os.O_NONBLOCK)
        try:
            # More than once, as our reader may still take one line, which makes room.
            until(lambda: not _filled(pipe), "the pipe is full", pause=0.1)
            yield
        finally:
            os.close(pipe)
            self._is_read.set()

    def await_line(self, pattern: str) -> re.Match[str]:
        """Wait for a line of stderr that matches; returns the first match."""

        def check():
            found = next((match for line in list(self.stderr) if (match := re.search(pattern, line))), None)
            if found is None and self.process.poll() is not None:
                self._reader.join(TIMEOUT_SECONDS)
                text = "".join(self.stderr)
                found = re.search(pattern, text)
                assert found, f"ended with {self.process.returncode}: {text}"
            return found

        return until(check, f"stderr contains {pattern}: {self.stderr}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; returns the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self, timeout: float = TIMEOUT_SECONDS) -> int:
        """Wait for the exit code."""
        code = self.process.wait(timeout)
        self._reader.join(TIMEOUT_SECONDS)
        return code

    def close(self) -> None:
        """Kill the program if it still runs, and close its pipes."""
        self._is_read.set()
        if (code := self.process.poll()) is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(TIMEOUT_SECONDS)
        # pytest shows it with a failure.
        state = "still ran" if code is None else f"had ended with {code}"
        sys.stdout.write(f"{type(self).__name__} {self.process.pid} {state}:\n{''.join(self.stderr[-40:])}")
        self.process.stdout.close()
        self.process.stderr.close()


class Starting(Program):
    """`condord start …`, which may not succeed."""

    MAY_BE_PRELOADED = True


class Simulated(Program):
    """`condord simulate` and its admin routes."""

    MAY_BE_PRELOADED = True

    def __init__(self, *arguments: str, **environ: str) -> None:
        super().__init__("simulate", "--port", "0", "--json", *arguments, environ=environ)
        self.urls = json.loads(self.process.stdout.readline())
        self.url = self.urls["tradingUrl"]

    def fault(self, name: str, **options: object) -> None:
        """Inject a fault."""
        status, _, answer = fetch(f"{self.url}/simulator/faults", method="POST", body={"fault": name, **options})
        assert status < 300, answer

    def clear(self) -> None:
        """Clear all faults."""
        fetch(f"{self.url}/simulator/faults", method="DELETE")

    def post(self, what: str, **body: object):
        """Change positions, quotes or the market; returns their new state."""
        status, _, answer = fetch(f"{self.url}/simulator/{what}", method="POST", body=body)
        assert status < 300, answer
        return answer

    def state(self) -> dict:
        """Connections, subscriptions and requests so far."""
        return fetch(f"{self.url}/simulator/state")[2]

    def ask(self, path: str):
        """A REST response to another API key, so that the request does not count against the daemon's rate limit."""
        keys = {"APCA-API-KEY-ID": "ONLOOKER", "APCA-API-SECRET-KEY": "looks-on"}
        status, _, answer = fetch(self.url + path, headers=keys)
        assert status == 200, answer
        return answer

    def held(self) -> dict[str, int]:
        """The simulator's option positions: signed quantities by symbol."""
        rows = self.ask("/v2/positions")
        return {row["symbol"]: int(row["qty"]) for row in rows if row["asset_class"] == "us_option"}

    def quoted(self, symbols) -> dict[str, tuple[float, float]]:
        """The simulator's quotes of at most 100 contracts: bid and ask by symbol, 0 for a missing price."""
        answer = self.ask("/v1beta1/options/quotes/latest?symbols=" + ",".join(symbols))["quotes"] if symbols else {}
        return {symbol: (answer[symbol]["bp"], answer[symbol]["ap"]) for symbol in answer}


class Condord(Program):
    """`condord start` against a simulator."""

    MAY_BE_PRELOADED = True

    def __init__(self, simulated: Simulated, *arguments: str, **environ: str) -> None:
        urls = {f"CONDORD_ALPACA_{_snake(name)}": url for name, url in simulated.urls.items()}
        flags = arguments if {"--port", "--uds"} & set(arguments) else ("--port", "0", *arguments)
        super().__init__("start", *flags, environ={**KEYS, **urls, **environ})
        self.url = self.await_line(r"serves at (\S+)")[1]

    def get(self, path: str, **headers: str):
        """Status and body of a response."""
        status, _, body = fetch(self.url + path, headers=headers)
        return status, body

    def status(self) -> dict:
        """`GET /api/status`."""
        return self.get("/api/status")[1]

    def document(self) -> dict:
        """`GET /api/positions`."""
        return self.get("/api/positions")[1]

    def notices(self) -> dict[str, str]:
        """The notices by code, without those of the date."""
        notices = self.status()["notices"]
        return {notice["code"]: notice["text"] for notice in notices if notice["code"] not in DATED_NOTICES}

    def await_state(self, *states: str) -> dict:
        """The first status in one of `states`."""

        def check():
            status = self.status()
            return status if status["state"] in states else None

        return until(check, f"state {states}")

    def await_priced(self) -> dict:
        """The first document in which every condor has a profit or loss."""

        def check():
            document = self.document()
            priced = [c for c in document["condors"] if c["valuation"]["unrealizedPl"] is not None]
            return document if priced and len(priced) == len(document["condors"]) else None

        return until(check, "every condor is priced")

    def await_account_read(self) -> dict:
        """The first document after contracts and orders have been read; from then on only quotes change."""

        def check():
            document = self.document()
            legs = [leg for condor in document["condors"] for leg in condor["legs"]] + document["unmatched"]
            is_read = legs and not any(leg["multiplierAssumed"] for leg in legs)
            return document if is_read and all(condor["openedAt"] for condor in document["condors"]) else None

        return until(check, "contracts and orders are read", READ_TIMEOUT_SECONDS)


def _snake(camel: str) -> str:
    return re.sub(r"(?=[A-Z])", "_", camel).upper()


ProgramT = TypeVar("ProgramT", bound=Program)


@contextmanager
def closing_program(program: ProgramT) -> Iterator[ProgramT]:
    """Yield the program and close it in any case."""
    try:
        yield program
    finally:
        program.close()


class Follower:
    """A stream client in a thread. It keeps every event (or the newest `keep`), and the document by version."""

    def __init__(self, url: str, path: str = "/api/stream", keep: int | None = None, **headers: str) -> None:
        self.events = deque(maxlen=keep)
        self.documents: dict[str, dict] = {}
        self._keep = keep
        self.ended = threading.Event()
        self._mirror = Mirror()
        self._link = http.client.HTTPConnection(url.removeprefix("http://"), timeout=TIMEOUT_SECONDS)
        self._link.request("GET", path, headers=headers)
        self._answer = self._link.getresponse()
        assert self._answer.status == 200, self._answer.read()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        parser = EventParser()
        try:
            while chunk := self._answer.read1(65536):
                for event in parser.feed(chunk):
                    self.events.append(event)
                    self._mirror.apply(event)
                    if event.id and self._mirror.document is not None:
                        self.documents[event.id] = self._mirror.document
                        if self._keep and len(self.documents) > self._keep:
                            del self.documents[next(iter(self.documents))]
        except (OSError, http.client.HTTPException):
            pass  # the daemon or `close` has ended the stream
        finally:
            self.ended.set()

    @property
    def names(self) -> list[str]:
        """The names of the events so far."""
        return [event.name for event in self.events.copy()]

    @property
    def document(self) -> dict | None:
        """The document after the newest event."""
        return self._mirror.document

    @property
    def last_id(self) -> str | None:
        """The id of the newest event that has one."""
        return next((event.id for event in reversed(self.events.copy()) if event.id), None)

    def close(self) -> None:
        """Disconnect."""
        with contextlib.suppress(OSError):
            self._link.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(TIMEOUT_SECONDS)
        self._answer.close()
        self._link.close()


def held_in(document: dict) -> dict[str, int]:
    """The option positions that a document shows: signed quantities by symbol."""
    held = Counter()
    for entry in [leg for condor in document["condors"] for leg in condor["legs"]] + document["unmatched"]:
        held[entry["symbol"]] += entry["quantity"] if entry["side"] == "long" else -entry["quantity"]
    return dict(held)


def quoted_in(document: dict) -> dict[str, tuple[float, float]]:
    """Bid and ask by symbol in a document, for every contract that has had a quote."""
    return {quote["symbol"]: (quote["bid"], quote["ask"]) for quote in document["quotes"] if quote["state"] != "none"}


def settled(document: dict) -> dict:
    """A document without the times that may change without an event."""
    status, account = document["status"], document["account"]
    return {
        **{key: value for key, value in document.items() if key != "asOf"},
        "account": account and {**account, "readAt": None},
        "status": {
            **status,
            "stream": {**status["stream"], "lastMessageAt": None},
            "positions": {**status["positions"], "readAt": None},
        },
    }


def compare_samples(condord: Condord, follower: Follower, count: int, seen_by=lambda document: document) -> int:
    """Compare the follower with `GET /api/positions` at `count` versions; returns how many were compared.

    `seen_by` reduces a document to what the follower's stream contains.
    """
    compared = set()

    def check():
        document = condord.document()
        version = document["version"]
        until(lambda: version in follower.documents or newer_than(follower, version), f"version {version}")
        if version in follower.documents:
            assert settled(follower.documents[version]) == settled(seen_by(document))
            compared.add(version)
        return len(compared) >= count

    until(check, f"{count} versions compared")
    return len(compared)


def newer_than(follower: Follower, version: str) -> bool:
    """Whether the stream has passed a version that this follower joined too late to receive."""
    epoch, number = version.rsplit("-", 1)
    seen = follower.last_id
    return seen is not None and seen.rsplit("-", 1)[0] == epoch and int(seen.rsplit("-", 1)[1]) > int(number)
