"""The real programs as child processes on loopback, and a client that holds what it was told."""

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

from condord.cli.mirror import Mirror
from condord.client import EventParser

PATIENCE_SECONDS = 30.0
KEYS = {"APCA_API_KEY_ID": "KEYFORTESTS", "APCA_API_SECRET_KEY": "secret-for-tests"}


def until(condition, what, patience: float = PATIENCE_SECONDS, pause: float = 0.02):
    """The first true value of `condition()`; fails with `what`, a sentence or what tells one, when patience ends."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(pause)
    raise AssertionError(f"waited {patience:g} s in vain: {what() if callable(what) else what}")


def fetch(url: str, *, method: str = "GET", body: object = None, headers: dict[str, str] | None = None):
    """Status, headers and JSON (or text) of an answer, of whatever status."""
    payload = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, method=method, data=payload, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.headers, _decoded(answer)
    except urllib.error.HTTPError as answer:
        with answer:
            return answer.status, answer.headers, _decoded(answer)


def _decoded(answer):
    raw = answer.read()
    return json.loads(raw) if "json" in answer.headers.get("Content-Type", "") else raw.decode()


class Program:
    """A running `condord …` whose stderr is collected."""

    def __init__(self, *arguments: str, environ: dict[str, str] | None = None) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("APCA_", "CONDORD_"))}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "condord", *arguments],
            env={**clean, "HOME": "/nonexistent", **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.stderr: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        self.stderr.extend(iter(self.process.stderr.readline, ""))

    def said(self, pattern: str) -> re.Match[str]:
        """The first line of stderr that matches."""

        def look():
            found = next((match for line in list(self.stderr) if (match := re.search(pattern, line))), None)
            if found is None and self.process.poll() is not None:
                self._reader.join(5)
                text = "".join(self.stderr)
                found = re.search(pattern, text)
                assert found, f"ended with {self.process.returncode}: {text}"
            return found

        return until(look, f"stderr says {pattern}: {self.stderr}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Its exit code after a signal."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self, patience: float = PATIENCE_SECONDS) -> int:
        """Its exit code."""
        code = self.process.wait(patience)
        self._reader.join(5)
        return code

    def close(self) -> None:
        """Leave nothing behind."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(5)
        self.process.stdout.close()
        self.process.stderr.close()


class Simulated(Program):
    """`condord simulate` and its admin routes."""

    def __init__(self, *arguments: str) -> None:
        super().__init__("simulate", "--port", "0", "--json", *arguments)
        self.urls = json.loads(self.process.stdout.readline())
        self.url = self.urls["tradingUrl"]

    def fault(self, name: str, **options: object) -> None:
        """Make something go wrong."""
        status, _, answer = fetch(f"{self.url}/simulator/faults", method="POST", body={"fault": name, **options})
        assert status < 300, answer

    def clear(self) -> None:
        """Let everything go right again."""
        fetch(f"{self.url}/simulator/faults", method="DELETE")

    def post(self, what: str, **body: object):
        """Change positions, quotes or the market; returns how they are now."""
        status, _, answer = fetch(f"{self.url}/simulator/{what}", method="POST", body=body)
        assert status < 300, answer
        return answer

    def state(self) -> dict:
        """Connections, subscriptions, requests."""
        return fetch(f"{self.url}/simulator/state")[2]

    def ask(self, path: str):
        """What Alpaca's REST answers to an onlooker, whose requests count against no limit of the daemon's."""
        keys = {"APCA-API-KEY-ID": "ONLOOKER", "APCA-API-SECRET-KEY": "looks-on"}
        status, _, answer = fetch(self.url + path, headers=keys)
        assert status == 200, answer
        return answer

    def held(self) -> dict[str, int]:
        """The true option positions: signed quantities by symbol."""
        rows = self.ask("/v2/positions")
        return {row["symbol"]: int(row["qty"]) for row in rows if row["asset_class"] == "us_option"}

    def quoted(self, symbols) -> dict[str, tuple[float, float]]:
        """The true quotes of at most 100 contracts: bid and ask by symbol, 0 where there is none."""
        answer = self.ask("/v1beta1/options/quotes/latest?symbols=" + ",".join(symbols))["quotes"] if symbols else {}
        return {symbol: (answer[symbol]["bp"], answer[symbol]["ap"]) for symbol in answer}


class Condord(Program):
    """`condord start` against a simulator."""

    def __init__(self, simulated: Simulated, *arguments: str, **environ: str) -> None:
        urls = {f"CONDORD_ALPACA_{_snake(name)}": url for name, url in simulated.urls.items()}
        flags = arguments if {"--port", "--uds"} & set(arguments) else ("--port", "0", *arguments)
        super().__init__("start", *flags, environ={**KEYS, **urls, **environ})
        self.url = self.said(r"serves at (\S+)")[1]

    def get(self, path: str, **headers: str):
        """Status and body of an answer."""
        status, _, body = fetch(self.url + path, headers=headers)
        return status, body

    def status(self) -> dict:
        """`GET /api/status`."""
        return self.get("/api/status")[1]

    def document(self) -> dict:
        """`GET /api/positions`."""
        return self.get("/api/positions")[1]

    def await_state(self, *states: str) -> dict:
        """The first status in one of `states`."""

        def look():
            status = self.status()
            return status if status["state"] in states else None

        return until(look, f"state {states}")

    def await_priced(self) -> dict:
        """The first document in which every condor has a profit or loss."""

        def look():
            document = self.document()
            priced = [c for c in document["condors"] if c["valuation"]["unrealizedPl"] is not None]
            return document if priced and len(priced) == len(document["condors"]) else None

        return until(look, "every condor is priced")

    def await_told(self) -> dict:
        """The first document after which only quotes move: contracts and orders have been read."""

        def look():
            document = self.document()
            legs = [leg for condor in document["condors"] for leg in condor["legs"]] + document["unmatched"]
            is_told = legs and not any(leg["multiplierAssumed"] for leg in legs)
            return document if is_told and all(condor["openedAt"] for condor in document["condors"]) else None

        return until(look, "contracts and orders are told")


def _snake(camel: str) -> str:
    return re.sub(r"(?=[A-Z])", "_", camel).upper()


@contextmanager
def closing_program(program: Program) -> Iterator[Program]:
    """Ends it, whatever happens."""
    try:
        yield program
    finally:
        program.close()


class Follower:
    """A stream client in a thread: every event (or the newest `keep`), and the document after each, by version."""

    def __init__(self, url: str, path: str = "/api/stream", keep: int | None = None, **headers: str) -> None:
        self.events = deque(maxlen=keep)
        self.documents: dict[str, dict] = {}
        self._keep = keep
        self.ended = threading.Event()
        self._mirror = Mirror()
        self._link = http.client.HTTPConnection(url.removeprefix("http://"), timeout=PATIENCE_SECONDS)
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
            pass  # the daemon, or `close`, has cut the stream
        finally:
            self.ended.set()

    @property
    def names(self) -> list[str]:
        """The events so far."""
        return [event.name for event in self.events.copy()]

    @property
    def document(self) -> dict | None:
        """The document as the newest event left it."""
        return self._mirror.document

    @property
    def last_id(self) -> str | None:
        """The id of the newest event that has one."""
        return next((event.id for event in reversed(self.events.copy()) if event.id), None)

    def close(self) -> None:
        """Hang up."""
        with contextlib.suppress(OSError):
            self._link.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(5)
        self._answer.close()
        self._link.close()


def held_in(document: dict) -> dict[str, int]:
    """The option positions that a document shows: signed quantities by symbol."""
    held = Counter()
    for entry in [leg for condor in document["condors"] for leg in condor["legs"]] + document["unmatched"]:
        held[entry["symbol"]] += entry["quantity"] if entry["side"] == "long" else -entry["quantity"]
    return dict(held)


def quoted_in(document: dict) -> dict[str, tuple[float, float]]:
    """The quotes that a document shows: bid and ask by symbol, of what was ever quoted."""
    return {quote["symbol"]: (quote["bid"], quote["ask"]) for quote in document["quotes"] if quote["state"] != "none"}


def settled(document: dict) -> dict:
    """A document without the instants that may move without an event."""
    status = document["status"]
    return {
        **{key: value for key, value in document.items() if key != "asOf"},
        "status": {
            **status,
            "stream": {**status["stream"], "lastMessageAt": None},
            "positions": {**status["positions"], "readAt": None},
        },
    }
