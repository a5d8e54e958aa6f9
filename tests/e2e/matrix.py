"""The matrix of faults: how each starts, what the daemon must report, and when it is over.

Each row runs against a simulator and a daemon that log at debug level. Most faults are injected by the simulator, some
by the machine. Before and after the fault, the document equals the simulator's own positions and quotes. Meanwhile a
subscriber receives the reports that the row expects. Its document equals `GET /api/positions` at every version that is
compared. The daemon stays the same process, never has two connections to one stream, and logs no part of a secret.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass, field

from condord.simulator.faults import FAULTS
from tests.e2e.preloaded import REPLACED
from tests.e2e.running import (
    DATED_NOTICES,
    KEYS,
    Condord,
    Follower,
    Simulated,
    closing_program,
    fetch,
    held_in,
    quoted_in,
    settled,
    until,
)
from tests.http.scrape import samples

ENVIRON = {
    "CONDORD_STREAM_SILENCE_SECONDS": "3",
    "CONDORD_STREAM_BACKOFF_MIN_SECONDS": "0.05",
    "CONDORD_STREAM_BACKOFF_MAX_SECONDS": "1",
    "CONDORD_STREAM_WINDOW_MS": "50",
    "CONDORD_STREAM_MIN_CHANGE": "0",
    "CONDORD_REST_TIMEOUT_SECONDS": "1",
    "CONDORD_REST_RETRIES": "0",
    "CONDORD_REST_REFRESH_SECONDS": "1.5",
    "CONDORD_REST_SETTLE_SECONDS": "0.5",
    "CONDORD_REST_BREAKER_RESET_SECONDS": "1",
}
RATE = 5
"""A multiple of the usual rate of quotes, so that some arrive every second even on a busy machine."""
ACCOUNT_NOTICES = {"brokenCondor", "assignment", *DATED_NOTICES}
"""Notices on the account, which stay; all others must be gone when a fault is over."""
QUOTE, NEXT_QUOTE = (2.4, 2.6), (2.44, 2.66)
PAUSE_SECONDS = 0.05
RUN_SECONDS = 0.5
"""How long the market pauses for a comparison, and how long it runs before the next one."""
NOISE = {"refused outOfOrder", "notice greeksDiffer"}
"""Reports that count only if a row expects them.

REST and the stream can overtake each other at any time. A fault of quotes or prices can last until Alpaca's greeks are
compared with them again.
"""
LEAK_LENGTH = 8
"""A leak is this many consecutive characters of a secret."""

STATES = ("closed", "open", "halfOpen")
OUTAGES = ("stale", "reconnecting", "halted")
CUT, SILENT = "reconnecting unreachable", "reconnecting silent"
_KINDS = {fault.name: fault.kind for fault in FAULTS}
MACHINE_FAULTS: Mapping[str, Callable[["Harness"], AbstractContextManager[None]]] = {
    "stderr-blocked": lambda harness: harness.condord.blocked_stderr(),
}
"""Faults of the daemon's machine, which the simulator cannot inject; each lasts as long as its context."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One fault. `expects` are the reports of `reports_in` that must appear; if empty, there may be none.

    reason    a substring of a status reason that must appear too, if the reports could also come from the trigger
    then      faults that trigger this one: a new connection, or a close
    arrives   prices that must be published; the fault applies to `NEXT_QUOTE`
    reaches   a quote pushed during the fault must arrive, but not over the stream
    proof     a condition that must hold during the fault
    ending    what must happen to end the fault besides clearing it
    floods    refreshes are requested during the fault
    lane      rows of one lane run one after the other; each lane has its own simulator and daemon
    timeout  the maximum seconds until the fault is reported, and until the daemon has recovered
    """

    fault: str
    variant: str = ""
    reason: str = ""
    options: Mapping[str, object] = field(default_factory=dict)
    then: tuple[str, ...] = ()
    expects: tuple[str, ...] = ()
    arrives: tuple[float, float] | None = None
    reaches: bool = False
    ending: Callable[["Harness"], None] | None = None
    proof: Callable[["Harness"], bool] | None = None
    floods: bool = False
    lane: str = "quick"
    timeout: float = 30.0

    @property
    def name(self) -> str:
        """The fault and the variant."""
        return f"{self.fault} ({self.variant})" if self.variant else self.fault

    @property
    def is_of_rest(self) -> bool:
        """Whether the fault is one of REST or of the positions."""
        return self.fault.startswith(("rest-", "position-"))

    @property
    def allowed_outages(self) -> set[str]:
        """The outages of the option stream that may be reported: those of the fault and those of its trigger."""
        if self.options.get("stream") == "stock":
            return set()
        trigger = CUT if self.then or self.ending else None
        return {*self.expects, *filter(None, (trigger, "stale silent" if SILENT in self.expects else None))}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """All reports, the seconds from the fault to the last expected one, and from its end to a correct document."""

    row: Row
    reported: tuple[str, ...]
    report_seconds: float
    seconds: float


class Harness:
    """A simulator, its daemon, and a subscriber that records the reports since `listen`."""

    def __init__(self, simulated: Simulated, condord: Condord, follower: Follower) -> None:
        self.simulated = simulated
        self.condord = condord
        self.follower = follower
        self.symbol = ""
        self.quotes_sent = self.updates_sent = 0
        self._row: Row | None = None
        self._read = 0
        self._known: set[str] = set()
        self._refused: dict[str, int] = {}
        self._reported: dict[str, None] = {}
        self._reasons: dict[str, None] = {}

    def listen(self, row: Row) -> None:
        """Discard earlier reports; from now on every new one counts."""
        self.symbol = str(row.options.get("symbol") or liquid_symbol(self.follower.document))
        state = self.simulated.state()
        self.quotes_sent, self.updates_sent = state["quotesSent"], state["updatesSent"]
        self._refused = self.condord.status()["refused"]
        self._read = len(self.follower.documents)
        self._known = set(reports_in(self.follower.document, self.symbol))
        self._reported.clear()
        self._reasons.clear()
        self._row = row

    def reported(self) -> tuple[str, ...]:
        """The reports since `listen`, each once, in order."""
        documents = list(self.follower.documents.values())[self._read :]
        self._read += len(documents)
        for document in documents:
            self._reported |= {
                report: None for report in reports_in(document, self.symbol) if report not in self._known
            }
            self._reasons[document["status"]["reason"] or ""] = None
        status = self.condord.status()
        counters = status["refused"]
        self._reported |= dict.fromkeys(stocks_in(status))
        self._reported |= {f"refused {name}": None for name in counters if counters[name] > self._refused.get(name, 0)}
        return tuple(report for report in self._reported if report not in NOISE or report in self._row.expects)

    def has_reported(self, row: Row) -> bool:
        """Whether everything that `row` expects was reported."""
        return set(row.expects) <= set(self.reported()) and any(row.reason in reason for reason in self._reasons)

    def push(self, quote: tuple[float, float], symbol: str | None = None) -> None:
        """Make `quote` the latest of the symbol, and hold it."""
        bid, ask = quote
        self.simulated.post("quotes", quotes=[{"symbol": symbol or self.symbol, "bp": bid, "ap": ask}], pin=True)

    def await_quote(self, quote: tuple[float, float], symbol: str | None = None, timeout: float = 10.0) -> None:
        """Wait until the subscriber has received `quote`."""
        symbol = symbol or self.symbol
        until(
            lambda: quoted_in(self.follower.document).get(symbol) == quote,
            lambda: f"{symbol} is quoted {quote}: {quoted_in(self.follower.document).get(symbol)}",
            timeout,
            PAUSE_SECONDS,
        )

    def await_other_quote(self, quote: tuple[float, float]) -> None:
        """Wait until `quote` has been replaced."""
        until(lambda: quoted_in(self.follower.document).get(self.symbol) != quote, f"{quote} goes", pause=0.01)

    def has_been_applied(self, fault: str) -> bool:
        """Whether `fault` has been applied as often as requested."""
        active = fetch(f"{self.simulated.url}/simulator/faults")[2]["active"]
        return all(entry["fault"] != fault for entry in active)

    def await_healthy(self, timeout: float) -> None:
        """Wait until the subscriber's document shows no problem."""
        until(
            lambda: not problems(self.follower.document),
            lambda: f"no problems: {problems(self.follower.document)}",
            timeout,
            PAUSE_SECONDS,
        )

    def await_stocks(self, timeout: float) -> None:
        """Wait until the stock stream delivers every stock, and the document has a confirmed price of each."""
        until(
            lambda: not stock_problems(self.condord.status(), self.follower.document),
            lambda: f"no problems: {stock_problems(self.condord.status(), self.follower.document)}",
            timeout,
            PAUSE_SECONDS,
        )

    def await_match(self, timeout: float = 15.0) -> None:
        """Wait until the document equals the simulator's account."""
        last: dict[str, object] = {}

        def matches():
            last.clear()
            last.update(self.mismatches())
            return not last

        until(matches, lambda: f"the document is correct except for {last}", timeout, RUN_SECONDS)

    def mismatches(self) -> dict[str, object]:
        """How the document differs from the simulator's account, with the market paused for a moment."""
        self.simulated.post("market", frozen=True)
        try:
            held = self.simulated.held()
            quoted = self.simulated.quoted(held)
            deadline = time.monotonic() + RUN_SECONDS
            while (found := differences(self.follower.document, held, quoted)) and time.monotonic() < deadline:
                time.sleep(0.01)
            return found
        finally:
            self.simulated.post("market", frozen=False)

    def compare_version(self) -> None:
        """Check that the subscriber's document equals `GET /api/positions` at the same version."""
        document = self.condord.document()
        followed = until(lambda: self.follower.documents.get(document["version"]), f"version {document['version']}")
        assert settled(followed) == settled(document)


def reports_in(document: dict, symbol: str) -> Iterator[str]:
    """The reports in a document: states, codes, notices, and the state of the quote of `symbol`."""
    status = document["status"]
    if status["state"] not in ("live", "closed") or status["code"]:
        yield " ".join(filter(None, (status["state"], status["code"])))
    if status["positions"]["error"]:
        yield f"error {status['positions']['error']['code']}"
    if status["positions"]["breaker"] != "closed":
        yield "breaker open"
    yield from (f"notice {notice['code']}" for notice in status["notices"])
    yield from (f"quote {quote['state']}" for quote in document["quotes"] if quote["symbol"] == symbol)


def stocks_in(status: dict) -> Iterator[str]:
    """The report about the stock stream in a status, if there is one."""
    stocks = status["stocks"]
    if stocks["state"] not in ("live", "closed") or stocks["code"]:
        yield " ".join(filter(None, ("stocks", stocks["state"], stocks["code"])))


def stock_problems(status: dict, document: dict) -> list[str]:
    """The problems of the prices of underlyings."""
    unconfirmed = [each["symbol"] for each in document["underlyings"] if each["unconfirmed"] or each["price"] is None]
    polled = status["stocks"]["polled"]
    return [
        *stocks_in(status),
        *([f"polled: {polled}"] if polled else []),
        *([f"unconfirmed: {unconfirmed}"] if unconfirmed else []),
    ]


def problems(document: dict | None) -> list[str]:
    """The problems that a document shows."""
    if document is None:
        return ["no document"]
    stream = document["status"]["stream"]
    unconfirmed = [quote["symbol"] for quote in document["quotes"] if quote["unconfirmed"] or quote["state"] == "none"]
    notices = {f"notice {code}" for code in ACCOUNT_NOTICES}
    return [
        *(report for report in reports_in(document, "") if report not in notices),
        *([f"{stream['subscribed']} of {stream['requested']}"] if stream["subscribed"] != stream["requested"] else []),
        *([f"unconfirmed: {unconfirmed}"] if unconfirmed else []),
        *(["positions not read"] if not document["status"]["positions"]["readAt"] else []),
    ]


def differences(document: dict, held: dict, quoted: dict) -> dict[str, object]:
    """What a document shows and what is correct, by symbol, where they differ."""
    found = {}
    for shown, correct in ((held_in(document), held), (quoted_in(document), quoted)):
        for symbol in shown.keys() | correct.keys():
            if shown.get(symbol) != correct.get(symbol):
                found[symbol] = (shown.get(symbol), correct.get(symbol))
    return found


def liquid_symbol(document: dict) -> str:
    """A short leg of a SPY condor, which is quoted often."""
    quotes = {quote["symbol"]: quote for quote in document["quotes"]}
    legs = [leg for condor in document["condors"] if condor["root"] == "SPY" for leg in condor["legs"]]
    return next(leg["symbol"] for leg in legs if leg["side"] == "short" and quotes[leg["symbol"]]["mark"])


@contextmanager
def pair(*arguments: str, rate: float = RATE, **environ: str) -> Iterator[tuple[Simulated, Condord]]:
    """A simulator at `rate` times the usual rate of quotes, and a daemon that is live; constants are of both."""
    constants = {name: value for name, value in environ.items() if name == REPLACED}
    with (
        closing_program(Simulated(*arguments, **constants)) as simulated,
        closing_program(Condord(simulated, "--log-level", "debug", **{**ENVIRON, **environ})) as condord,
    ):
        simulated.post("market", rate=rate)
        condord.await_state("live")
        condord.await_account_read()
        yield simulated, condord


def run(row: Row, simulated: Simulated, condord: Condord) -> Outcome:
    """Run a row; fails if anything differs from the row or from the module docstring."""
    with closing(Follower(condord.url)) as follower:
        harness = Harness(simulated, condord, follower)
        harness.await_healthy(30.0)
        harness.await_stocks(30.0)
        harness.await_match()
        harness.compare_version()
        harness.listen(row)
        with _restoring(harness):
            with _flooding(condord) if row.floods else nullcontext():
                report_seconds, over = _strike(row, harness)
            if row.arrives:
                harness.await_other_quote(row.arrives)
            harness.await_healthy(row.timeout)
            harness.await_stocks(row.timeout)
            harness.await_match()
            seconds = time.monotonic() - over
            harness.compare_version()
            reported = harness.reported()
            assert row.expects or not reported, reported
            assert [
                report for report in reported if report.startswith(OUTAGES) and report not in row.allowed_outages
            ] == []
    assert condord.process.poll() is None
    assert condord.status()["pid"] == condord.process.pid
    streams = simulated.state()["streams"]
    assert {name: stream["maxOpen"] for name, stream in streams.items()} == {"option": 1, "stock": 1, "trading": 1}
    assert leaks(condord) == []
    return Outcome(row=row, reported=reported, report_seconds=report_seconds, seconds=seconds)


def leaks(condord: Condord) -> list[str]:
    """The log lines that contain part of a secret, as text or as bytes in hex."""
    pieces = {
        shown
        for secret in KEYS.values()
        for start in range(len(secret) - LEAK_LENGTH + 1)
        for piece in (secret[start : start + LEAK_LENGTH],)
        for shown in (piece, piece.encode().hex(), piece.encode().hex(" "))
    }
    return [line for line in list(condord.stderr) if any(piece in line for piece in pieces)]


def _strike(row: Row, harness: Harness) -> tuple[float, float]:
    """Start the fault, await its reports, and end it; returns the seconds until the reports and the time of the end."""
    options = dict(row.options)
    if row.arrives:
        harness.push(QUOTE)
        harness.await_quote(QUOTE)
        # The 32-bit timestamp has whole seconds, so only a quote from a later second is newer than this one.
        time.sleep(1.01 - time.time() % 1.0)
    if row.arrives or options.get("symbol") == "":
        options["symbol"] = harness.symbol
    with MACHINE_FAULTS.get(row.fault, nullcontext)(harness):
        began_at = time.monotonic()
        for name, stream in ((row.fault, options), *((trigger, _stream_of(options)) for trigger in row.then)):
            if name not in MACHINE_FAULTS:
                harness.simulated.fault(name, **stream)
        if row.arrives:
            harness.push(NEXT_QUOTE)
        _await_reports(row, harness)
        report_seconds = time.monotonic() - began_at
        _meanwhile(row, harness)
        harness.compare_version()
    if _KINDS.get(row.fault) == "event" and harness.has_been_applied(row.fault) and not row.arrives and not row.ending:
        return report_seconds, began_at
    harness.simulated.clear()
    harness.simulated.post("quotes", release=True)
    if row.ending:
        row.ending(harness)
    return report_seconds, time.monotonic()


def _await_reports(row: Row, harness: Harness) -> None:
    if row.expects:
        until(
            lambda: harness.has_reported(row),
            lambda: f"{row.expects} of {harness.reported()}, {harness.condord.status()}",
            row.timeout,
            PAUSE_SECONDS,
        )
    else:
        until(lambda: harness.has_been_applied(row.fault), f"{row.fault} strikes", pause=PAUSE_SECONDS)


def _meanwhile(row: Row, harness: Harness) -> None:
    if row.arrives:
        harness.await_quote(row.arrives)
    if row.reaches:
        symbol = _unstreamed_symbol(harness) or harness.symbol
        harness.push(NEXT_QUOTE, symbol)
        harness.await_quote(NEXT_QUOTE, symbol)
    if row.proof:
        until(lambda: row.proof(harness), f"the proof of {row.fault}", pause=PAUSE_SECONDS)


def _unstreamed_symbol(harness: Harness) -> str | None:
    """A symbol that a notice lists as not streamed."""
    notices = harness.follower.document["status"]["notices"]
    return next((notice["symbols"][-1] for notice in notices if notice["code"] == "notStreamed"), None)


def _stream_of(options: Mapping[str, object]) -> dict[str, object]:
    return {"stream": options["stream"]} if "stream" in options else {}


@contextmanager
def _restoring(harness: Harness) -> Iterator[None]:
    """Restore the initial state even if a row fails, so that the next one starts from it."""
    entries = harness.simulated.post("positions", positions=[])
    try:
        yield
    finally:
        harness.simulated.clear()
        harness.simulated.post("quotes", release=True)
        restore_positions(harness.simulated, entries)
        status = harness.condord.status()
        if "halted" in (status["state"], status["stocks"]["state"]):
            _send_sighup(harness)


def restore_positions(simulated: Simulated, entries: list[dict]) -> None:
    """Restore positions; `entries` are in the simulator's format."""
    entries_by_symbol = {entry["symbol"]: entry for entry in entries}
    now = {entry["symbol"] for entry in simulated.post("positions", positions=[])}
    gone = [{"symbol": symbol, "qty": 0} for symbol in now - entries_by_symbol.keys()]
    back = [
        {"symbol": symbol, "qty": int(entry["qty"]), "avg_entry_price": float(entry["avg_entry_price"])}
        for symbol, entry in entries_by_symbol.items()
    ]
    simulated.post("positions", positions=[*gone, *back])


@contextmanager
def _flooding(condord: Condord) -> Iterator[None]:
    """Request a refresh a dozen times a second."""
    over = threading.Event()

    def flood():
        while not over.wait(0.08):
            fetch(f"{condord.url}/api/refresh", method="POST")

    flooding = threading.Thread(target=flood, daemon=True)
    flooding.start()
    try:
        yield
    finally:
        over.set()
        flooding.join(60)


def breakers(condord: Condord) -> dict[str, str]:
    """The state of the circuit breaker of each host."""
    found = samples(condord.get("/metrics")[1])
    return {
        host: next(state for state in STATES if found[f"condord_rest_breaker_state{{host={host},state={state}}}"])
        for host in ("trading", "data")
    }


def _send_sighup(harness: Harness) -> None:
    """Make the daemon retry now."""
    harness.condord.process.send_signal(signal.SIGHUP)


def _reconnect(harness: Harness) -> None:
    """Make the daemon reconnect."""
    harness.simulated.fault("close-1001")


def _reconnect_stocks(harness: Harness) -> None:
    """Make the daemon reconnect to the stock stream."""
    harness.simulated.fault("close-1001", stream="stock")


def _is_polled(harness: Harness) -> bool:
    """Whether REST confirms every price of an underlying while the option stream goes on."""
    status, document = harness.condord.status(), harness.follower.document
    is_confirmed = all(not each["unconfirmed"] and each["price"] for each in document["underlyings"])
    return status["state"] == "live" and not status["stocks"]["stream"] and is_confirmed


def _has_new_contract(harness: Harness) -> bool:
    return held_in(harness.follower.document) == harness.simulated.held()


def _row(fault: str, *expects: str, **rest: object) -> Row:
    return Row(fault=fault, expects=expects, **rest)


NEW = ("close-1001",)
HANDSHAKE = {"then": NEW, "lane": "handshake"}
TRADING = {"stream": "trading"}
STOCK = {"stream": "stock"}
STOCKS_DOWN = {"variant": "stock stream", "options": STOCK, "then": NEW, "proof": _is_polled}
SOME = {"symbol": ""}
"""Stands for the symbol of the harness."""

ROWS: tuple[Row, ...] = (
    _row("upgrade-429", CUT, reason="429", then=NEW),
    _row("upgrade-403", CUT, reason="403", then=NEW),
    _row("upgrade-302", "reconnecting malformed", reason="redirects to wss://elsewhere.invalid/stream", then=NEW),
    _row("upgrade-302", "notice tradeUpdatesUnavailable", variant="trading stream", options=TRADING, then=NEW),
    _row("upgrade-502", CUT, reason="502", then=NEW),
    _row("upgrade-502", "notice tradeUpdatesUnavailable", variant="trading stream", options=TRADING, then=NEW),
    _row("mute-after-upgrade", CUT, reason="did not accept the connection within", **HANDSHAKE),
    _row("mute-after-connected", CUT, reason="did not answer the authentication within", **HANDSHAKE),
    _row("mute-after-authenticated", CUT, reason="did not acknowledge the subscription within", **HANDSHAKE),
    _row("mute-after-subscribe", SILENT, then=NEW, lane="silence"),
    _row("no-pong", variant="while quotes come", options={"count": 1}, lane="handshake"),
    _row("no-pong", SILENT, variant="and no quotes", reason="ping", then=("mute",), lane="silence"),
    _row(
        "no-pong", "notice tradeUpdatesUnavailable", variant="trading stream", options=TRADING, lane="trading silence",
        timeout=60.0,
    ),
    _row("close-without-echo", SILENT, then=("mute",), lane="old quotes"),
    _row("auth-402", "halted authFailed", then=NEW, ending=_send_sighup),
    _row(
        "auth-402", "notice tradeUpdatesUnavailable", variant="trading stream", options=TRADING, then=NEW,
        ending=_send_sighup,
    ),
    _row("connection-406", "reconnecting connectionLimit", then=NEW),
    _row("insufficient-409", "halted insufficientSubscription", then=NEW, ending=_send_sighup),
    _row("limit-405", "live symbolLimit", variant="once", then=NEW, ending=_reconnect),
    _row(
        "limit-405", "live symbolLimit", "notice notStreamed", variant="10 symbols", then=NEW,
        options={"limit": 10, "seconds": 600}, reason="read over REST", reaches=True, lane="limit", timeout=80.0,
        proof=lambda harness: harness.follower.document["status"]["stream"]["subscribed"] == 10,
    ),
    _row("ack-lacks-symbol", "refused unacknowledged", options=SOME, then=NEW, reaches=True, ending=_reconnect),
    _row("reset", CUT),
    _row("reset-mid-frame", CUT),
    _row("close-1001", CUT),
    _row("ping-flood", "reconnecting malformed", reason="pings"),
    _row("mute", SILENT, lane="old quotes"),
    _row("slow-407", "reconnecting slowClient"),
    _row("text-frame", "refused frame"),
    _row("garbage", "refused frame"),
    _row("garbage", "refused tradeFrame", variant="trading stream", options=TRADING),
    _row("oversize-frame", "refused element"),
    _row("unknown-type", "refused element", arrives=NEXT_QUOTE),
    _row("timestamp-32", arrives=NEXT_QUOTE),
    _row("timestamp-96", arrives=NEXT_QUOTE),
    _row("integer-prices", arrives=(2, 3)),
    _row("no-bid", "quote stub", arrives=(0, 2.66)),
    _row("crossed", "quote crossed", arrives=(2.71, 2.66)),
    _row("locked", "quote locked", arrives=(2.66, 2.66)),
    _row("stub", "quote stub", arrives=(0.05, 19.95)),
    _row("nan", "refused price", arrives=NEXT_QUOTE),
    _row("null-price", "refused element", arrives=NEXT_QUOTE),
    _row("duplicate-time", arrives=NEXT_QUOTE),
    _row("out-of-order-time", "refused outOfOrder", arrives=NEXT_QUOTE),
    _row("unsubscribed-symbol", "refused notHeld", arrives=NEXT_QUOTE),
    _row("silent-symbol", "notice silentSymbols", options=SOME, reaches=True, lane="old quotes", timeout=60.0),
    _row(
        "burst", options={"seconds": 2},
        proof=lambda harness: harness.simulated.state()["quotesSent"] - harness.quotes_sent >= 10_000,
    ),
    _row("clock-skew", "refused future", lane="old quotes", timeout=60.0),
    _row("rest-500", "error serverError", "breaker open"),
    _row(
        "rest-500", "error serverError", "breaker open", variant="trading API", options={"path": "/v2"},
        proof=lambda harness: breakers(harness.condord)["data"] == "closed",
    ),
    _row(
        "rest-500", "error serverError", variant="data API", options={"path": "/v1beta1"},
        proof=lambda harness: breakers(harness.condord) == {"trading": "closed", "data": "open"},
    ),
    _row("rest-stall", "error timeout"),
    _row("rest-drip", "error timeout"),
    *(_row(f"rest-{status}", "error malformed") for status in (302, 203, 204, 206)),
    _row("rest-bomb", "error malformed"),
    _row("rest-cookies", options={"count": 6}),
    _row("rest-html", "error malformed"),
    _row("rest-429", "error rateLimited", lane="rest-429", timeout=80.0),
    _row("rest-empty", "error malformed"),
    _row("rest-truncated", "error malformed"),
    _row("rest-unknown-asset-class", options={"count": 2}),
    _row("rest-unknown-option-class", options={"count": 2}),
    _row("rest-null-market-value", options={"count": 2}),
    _row("rest-null-lastday-price", options={"count": 2}),
    _row("position-vanish", "notice brokenCondor"),
    _row("position-vanish", "notice brokenCondor", variant="in a flood of refreshes", floods=True),
    _row("position-halve", "notice brokenCondor"),
    _row("position-flip", "notice brokenCondor"),
    _row("update-burst", proof=lambda harness: harness.simulated.state()["updatesSent"] - harness.updates_sent == 1000),
    _row("position-new-leg", proof=_has_new_contract),
    _row("upgrade-403", "stocks reconnecting unreachable", "notice stocksUnavailable", **STOCKS_DOWN),
    _row("upgrade-502", "stocks reconnecting unreachable", "notice stocksUnavailable", **STOCKS_DOWN),
    _row(
        "mute-after-upgrade", "stocks reconnecting unreachable", "notice stocksUnavailable", lane="handshake",
        **STOCKS_DOWN,
    ),
    _row(
        "auth-402", "stocks halted authFailed", "notice stocksUnavailable", ending=_send_sighup, **STOCKS_DOWN,
    ),
    _row("connection-406", "stocks reconnecting connectionLimit", "notice stocksUnavailable", **STOCKS_DOWN),
    _row(
        "insufficient-409", "stocks halted insufficientSubscription", "notice stocksUnavailable", ending=_send_sighup,
        **STOCKS_DOWN,
    ),
    _row(
        "limit-405", "stocks live symbolLimit", variant="stock stream, 2 symbols", then=NEW,
        options={**STOCK, "limit": 2, "seconds": 600}, lane="limit", ending=_reconnect_stocks, timeout=80.0,
        proof=lambda harness: len(harness.condord.status()["stocks"]["stream"]) == 2,
    ),
    _row(
        "ack-lacks-symbol", "refused stockUnacknowledged", variant="stock stream", options=STOCK, then=NEW,
        ending=_reconnect_stocks,
    ),
    _row("reset", "notice stocksUnavailable", variant="stock stream", options=STOCK),
    _row("close-1001", "notice stocksUnavailable", variant="stock stream", options=STOCK),
    _row("slow-407", "notice stocksUnavailable", variant="stock stream", options=STOCK),
    _row("mute", "notice stocksUnavailable", variant="stock stream", options=STOCK, lane="silence", timeout=60.0),
    _row("no-pong", "notice stocksUnavailable", variant="stock stream", options=STOCK, then=("mute",), lane="silence",
         timeout=60.0),
    _row("text-frame", "refused stockFrame", variant="stock stream", options=STOCK),
    _row("garbage", "refused stockFrame", variant="stock stream", options=STOCK),
    _row("unknown-type", "refused stockElement", variant="stock stream", options=STOCK),
    _row("null-price", "refused stockElement", variant="stock stream", options=STOCK),
    _row("other-messages", variant="stock stream", options=STOCK),
    _row("zero-prices", variant="stock stream", options=STOCK),
    _row("nan", "refused price", variant="stock stream", options=STOCK),
    _row("burst", variant="stock stream", options={**STOCK, "seconds": 2}),
    _row(
        "rest-500", "notice stocksUnavailable", variant="stock snapshots", options={"path": "/v2/stocks"},
        proof=lambda harness: harness.condord.status()["positions"]["breaker"] == "closed",
    ),
    _row("stderr-blocked", variant="and all is well", reaches=True),
    _row("stderr-blocked", CUT, variant="and a cut", then=NEW),
    _row("stderr-blocked", "error serverError", variant="and REST fails", then=("rest-500",)),
)  # fmt: skip

LANES = tuple(dict.fromkeys(row.lane for row in ROWS))


def lane(name: str) -> list[Row]:
    """The rows of a lane."""
    return [row for row in ROWS if row.lane == name]
