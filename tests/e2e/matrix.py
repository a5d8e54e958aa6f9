"""The matrix of faults: how each is made to strike, what must be heard of it, and when it is over.

A row is run against a simulator and a daemon that log at debug level. Before it strikes, and after it is over, the
document equals the simulator's own positions and quotes; meanwhile a subscriber hears what the row says, and holds the
document of `GET /api/positions` at every version that is compared. The daemon is the same process throughout, never
has two connections to a stream at once, and writes no piece of a secret to its log.
"""

import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from condord.simulator.faults import FAULTS
from tests.e2e.running import (
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
"""How many times the usual rate of quotes: every second brings some, whatever the machine is busy with."""
ACCOUNT_NOTICES = {"brokenCondor", "assignment", "expiresToday", "expired"}
"""Notices that tell of the account and stay; all others are gone when a fault is over."""
QUOTE, NEXT_QUOTE = (2.4, 2.6), (2.44, 2.66)
LOOK_SECONDS = 0.05
STILL_SECONDS = 0.5
"""So long the market stands still for a look at the truth, and goes on before the next look."""
NOISE = "refused outOfOrder"
"""REST and the stream overtake each other at any time: this is heard only where a row asks for it."""
PIECE = 8
"""So many characters of a secret in a row are a leak."""

OUTAGES = ("stale", "reconnecting", "halted")
CUT, SILENT = "reconnecting unreachable", "reconnecting silent"
_KINDS = {fault.name: fault.kind for fault in FAULTS}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One fault. `says` is what must be heard: words of `words_of`; with none, nothing may be heard at all.

    `reason` is a part of a reason of the status that must be heard too, where the words alone would not tell the fault
    from what gave it the occasion. `then` gives it the occasion: a new connection, or a close. With `arrives` the fault
    strikes `NEXT_QUOTE`, and those prices must be told. With `reaches` a quote pushed meanwhile must come, though not by
    the stream. `proof` must be so meanwhile. `ending` is what has to happen for it to be over besides clearing it.
    Rows of one `lane` are run one after the other, lanes with simulators and daemons of their own; `patience` is how
    many seconds hearing and healing may take.
    """

    fault: str
    variant: str = ""
    reason: str = ""
    options: Mapping[str, object] = field(default_factory=dict)
    then: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    arrives: tuple[float, float] | None = None
    reaches: bool = False
    ending: Callable[["Scene"], None] | None = None
    proof: Callable[["Scene"], bool] | None = None
    lane: str = "quick"
    patience: float = 30.0

    @property
    def name(self) -> str:
        """The fault, and what is special about this row."""
        return f"{self.fault} ({self.variant})" if self.variant else self.fault

    @property
    def may_say(self) -> set[str]:
        """The outages that may be told of: its own, and those of what gives it the occasion."""
        occasion = CUT if self.then or self.ending else None
        return {*self.says, *filter(None, (occasion, "stale silent" if SILENT in self.says else None))}


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a row went: all that was heard, how long after the strike, and how long from the fault's end to the truth."""

    row: Row
    said: tuple[str, ...]
    told_seconds: float
    seconds: float


class Scene:
    """A simulator, its daemon, and a subscriber who remembers what was heard since `listen`."""

    def __init__(self, simulated: Simulated, condord: Condord, follower: Follower) -> None:
        self.simulated = simulated
        self.condord = condord
        self.follower = follower
        self.symbol = ""
        self.quotes_sent = 0
        self._row: Row | None = None
        self._read = 0
        self._known: set[str] = set()
        self._refused: dict[str, int] = {}
        self._said: dict[str, None] = {}
        self._reasons: dict[str, None] = {}

    def listen(self, row: Row) -> None:
        """Forget what was heard; from now on everything new counts."""
        self.symbol = str(row.options.get("symbol") or liquid_symbol(self.follower.document))
        self.quotes_sent = self.simulated.state()["quotesSent"]
        self._refused = self.condord.status()["refused"]
        self._read = len(self.follower.documents)
        self._known = set(words_of(self.follower.document, self.symbol))
        self._said.clear()
        self._reasons.clear()
        self._row = row

    def said(self) -> tuple[str, ...]:
        """What was heard since, each once, in order."""
        documents = list(self.follower.documents.values())[self._read :]
        self._read += len(documents)
        for document in documents:
            self._said |= {word: None for word in words_of(document, self.symbol) if word not in self._known}
            self._reasons[document["status"]["reason"] or ""] = None
        counters = self.condord.status()["refused"]
        self._said |= {f"refused {name}": None for name in counters if counters[name] > self._refused.get(name, 0)}
        return tuple(word for word in self._said if word != NOISE or NOISE in self._row.says)

    def has_heard(self, row: Row) -> bool:
        """Whether all was said that `row` asks for."""
        return set(row.says) <= set(self.said()) and any(row.reason in reason for reason in self._reasons)

    def push(self, quote: tuple[float, float], symbol: str | None = None) -> None:
        """Make `quote` the latest of the symbol, and hold it."""
        bid, ask = quote
        self.simulated.post("quotes", quotes=[{"symbol": symbol or self.symbol, "bp": bid, "ap": ask}], pin=True)

    def await_quote(self, quote: tuple[float, float], symbol: str | None = None, patience: float = 10.0) -> None:
        """Wait until the subscriber is told `quote`."""
        symbol = symbol or self.symbol
        until(
            lambda: quoted_in(self.follower.document).get(symbol) == quote,
            lambda: f"{symbol} is quoted {quote}: {quoted_in(self.follower.document).get(symbol)}",
            patience,
            LOOK_SECONDS,
        )

    def await_other_quote(self, quote: tuple[float, float]) -> None:
        """Wait until `quote` is history."""
        until(lambda: quoted_in(self.follower.document).get(self.symbol) != quote, f"{quote} goes", pause=0.01)

    def is_struck(self, fault: str) -> bool:
        """Whether the simulator has no strike of `fault` left."""
        active = fetch(f"{self.simulated.url}/simulator/faults")[2]["active"]
        return all(each["fault"] != fault for each in active)

    def await_calm(self, patience: float) -> None:
        """Wait until the subscriber is told that all is well."""
        until(
            lambda: not troubles(self.follower.document),
            lambda: f"all is well: {troubles(self.follower.document)}",
            patience,
            LOOK_SECONDS,
        )

    def await_truth(self, patience: float = 15.0) -> None:
        """Wait until the document is the simulator's truth."""
        last: dict[str, object] = {}

        def is_true():
            last.clear()
            last.update(self.falsehoods())
            return not last

        until(is_true, lambda: f"the document is true, but for {last}", patience, STILL_SECONDS)

    def falsehoods(self) -> dict[str, object]:
        """Where the document is not the simulator's truth, with the market standing still for a moment."""
        self.simulated.post("market", frozen=True)
        try:
            held = self.simulated.held()
            quoted = self.simulated.quoted(held)
            deadline = time.monotonic() + STILL_SECONDS
            while (found := differences(self.follower.document, held, quoted)) and time.monotonic() < deadline:
                time.sleep(0.01)
            return found
        finally:
            self.simulated.post("market", frozen=False)

    def compare_version(self) -> None:
        """The subscriber holds what `GET /api/positions` gives at the same version."""
        document = self.condord.document()
        told = until(lambda: self.follower.documents.get(document["version"]), f"version {document['version']}")
        assert settled(told) == settled(document)


def words_of(document: dict, symbol: str) -> Iterator[str]:
    """What a document says of trouble, in words: states, codes, notices, and the quote of `symbol`."""
    status = document["status"]
    if status["state"] not in ("live", "closed") or status["code"]:
        yield " ".join(filter(None, (status["state"], status["code"])))
    if status["positions"]["error"]:
        yield f"error {status['positions']['error']['code']}"
    if status["positions"]["breaker"] != "closed":
        yield "breaker open"
    yield from (f"notice {notice['code']}" for notice in status["notices"])
    yield from (f"quote {quote['state']}" for quote in document["quotes"] if quote["symbol"] == symbol)


def troubles(document: dict | None) -> list[str]:
    """Why not all is well."""
    if document is None:
        return ["no document"]
    stream = document["status"]["stream"]
    unconfirmed = [quote["symbol"] for quote in document["quotes"] if quote["unconfirmed"] or quote["state"] == "none"]
    notices = {f"notice {code}" for code in ACCOUNT_NOTICES}
    return [
        *(word for word in words_of(document, "") if word not in notices),
        *([f"{stream['subscribed']} of {stream['requested']}"] if stream["subscribed"] != stream["requested"] else []),
        *([f"unconfirmed: {unconfirmed}"] if unconfirmed else []),
        *(["positions not read"] if not document["status"]["positions"]["readAt"] else []),
    ]


def differences(document: dict, held: dict, quoted: dict) -> dict[str, object]:
    """Where a document is not the truth: what it shows, and what is so."""
    found = {}
    for shown, true in ((held_in(document), held), (quoted_in(document), quoted)):
        for symbol in shown.keys() | true.keys():
            if shown.get(symbol) != true.get(symbol):
                found[symbol] = (shown.get(symbol), true.get(symbol))
    return found


def liquid_symbol(document: dict) -> str:
    """A short leg of a condor that quotes often."""
    quotes = {quote["symbol"]: quote for quote in document["quotes"]}
    legs = [leg for condor in document["condors"] if condor["root"] == "SPY" for leg in condor["legs"]]
    return next(leg["symbol"] for leg in legs if leg["side"] == "short" and quotes[leg["symbol"]]["mark"])


@contextmanager
def scene(*arguments: str, rate: float = RATE, **environ: str) -> Iterator[tuple[Simulated, Condord]]:
    """A simulator at `rate` times the usual rate of quotes, and a daemon that is live."""
    with (
        closing_program(Simulated(*arguments)) as simulated,
        closing_program(Condord(simulated, "--log-level", "debug", **{**ENVIRON, **environ})) as condord,
    ):
        simulated.post("market", rate=rate)
        condord.await_state("live")
        condord.await_told()
        yield simulated, condord


def run(row: Row, simulated: Simulated, condord: Condord) -> Outcome:
    """Run a row; fails where anything is not as it says, or as the top of this file says."""
    with closing(Follower(condord.url)) as follower:
        scene = Scene(simulated, condord, follower)
        scene.await_calm(30.0)
        scene.await_truth()
        scene.compare_version()
        scene.listen(row)
        with _putting_back(scene):
            told_seconds, over = _strike(row, scene)
            if row.arrives:
                scene.await_other_quote(row.arrives)
            scene.await_calm(row.patience)
            scene.await_truth()
            seconds = time.monotonic() - over
            scene.compare_version()
            said = scene.said()
            assert row.says or not said, said
            assert [word for word in said if word.startswith(OUTAGES) and word not in row.may_say] == []
    assert condord.process.poll() is None
    assert condord.status()["pid"] == condord.process.pid
    streams = simulated.state()["streams"]
    assert {name: stream["maxOpen"] for name, stream in streams.items()} == {"option": 1, "trading": 1}
    assert leaks(condord) == []
    return Outcome(row=row, said=said, told_seconds=told_seconds, seconds=seconds)


def leaks(condord: Condord) -> list[str]:
    """The lines of the log that hold a piece of a secret, as text or as bytes in hex."""
    pieces = {
        shown
        for secret in KEYS.values()
        for place in range(len(secret) - PIECE + 1)
        for piece in (secret[place : place + PIECE],)
        for shown in (piece, piece.encode().hex(), piece.encode().hex(" "))
    }
    return [line for line in list(condord.stderr) if any(piece in line for piece in pieces)]


def _strike(row: Row, scene: Scene) -> tuple[float, float]:
    """Strike, hear what is said, let it be over; returns after how long it was said, and since when it has been over."""
    options = dict(row.options)
    if row.arrives:
        scene.push(QUOTE)
        scene.await_quote(QUOTE)
        # The 32-bit timestamp has whole seconds, so that only a quote of another second can come after this one.
        time.sleep(1.01 - time.time() % 1.0)
    if row.arrives or options.get("symbol") == "":
        options["symbol"] = scene.symbol
    struck = time.monotonic()
    for name, stream in ((row.fault, options), *((each, _stream_of(options)) for each in row.then)):
        scene.simulated.fault(name, **stream)
    if row.arrives:
        scene.push(NEXT_QUOTE)
    _hear(row, scene)
    told_seconds = time.monotonic() - struck
    _meanwhile(row, scene)
    scene.compare_version()
    if _KINDS[row.fault] == "event" and scene.is_struck(row.fault) and not row.arrives and not row.ending:
        return told_seconds, struck
    scene.simulated.clear()
    scene.simulated.post("quotes", release=True)
    if row.ending:
        row.ending(scene)
    return told_seconds, time.monotonic()


def _hear(row: Row, scene: Scene) -> None:
    if row.says:
        until(
            lambda: scene.has_heard(row),
            lambda: f"{row.says} of {scene.said()}, {scene.condord.status()}",
            row.patience,
            LOOK_SECONDS,
        )
    else:
        until(lambda: scene.is_struck(row.fault), f"{row.fault} strikes", pause=LOOK_SECONDS)


def _meanwhile(row: Row, scene: Scene) -> None:
    if row.arrives:
        scene.await_quote(row.arrives)
    if row.reaches:
        symbol = _named(scene) or scene.symbol
        scene.push(NEXT_QUOTE, symbol)
        scene.await_quote(NEXT_QUOTE, symbol)
    if row.proof:
        until(lambda: row.proof(scene), f"{row.fault} is proved", pause=LOOK_SECONDS)


def _named(scene: Scene) -> str | None:
    """A symbol that a notice says is not streamed."""
    notices = scene.follower.document["status"]["notices"]
    return next((each["symbols"][-1] for each in notices if each["code"] == "notStreamed"), None)


def _stream_of(options: Mapping[str, object]) -> dict[str, object]:
    return {"stream": options["stream"]} if "stream" in options else {}


@contextmanager
def _putting_back(scene: Scene) -> Iterator[None]:
    """Leave everything as it was, also where a row fails, so that the next one starts from there."""
    entries = scene.simulated.post("positions", positions=[])
    try:
        yield
    finally:
        scene.simulated.clear()
        scene.simulated.post("quotes", release=True)
        put_back(scene.simulated, entries)
        if scene.condord.status()["state"] == "halted":
            _hang_up(scene)


def put_back(simulated: Simulated, entries: list[dict]) -> None:
    """Hold again what was held: `entries` are positions as the simulator gives them."""
    wanted = {entry["symbol"]: entry for entry in entries}
    now = {entry["symbol"] for entry in simulated.post("positions", positions=[])}
    gone = [{"symbol": symbol, "qty": 0} for symbol in now - wanted.keys()]
    back = [
        {"symbol": symbol, "qty": int(entry["qty"]), "avg_entry_price": float(entry["avg_entry_price"])}
        for symbol, entry in wanted.items()
    ]
    simulated.post("positions", positions=[*gone, *back])


def _hang_up(scene: Scene) -> None:
    """Ask the daemon to try again now."""
    scene.condord.process.send_signal(signal.SIGHUP)


def _reconnect(scene: Scene) -> None:
    """Give the daemon a new connection."""
    scene.simulated.fault("close-1001")


def _has_new_contract(scene: Scene) -> bool:
    return held_in(scene.follower.document) == scene.simulated.held()


def _row(fault: str, *says: str, **rest: object) -> Row:
    return Row(fault=fault, says=says, **rest)


NEW = ("close-1001",)
HANDSHAKE = {"then": NEW, "lane": "handshake"}
TRADING = {"stream": "trading"}
SOME = {"symbol": ""}
"""The symbol of the scene."""

ROWS: tuple[Row, ...] = (
    _row("upgrade-429", CUT, reason="429", then=NEW),
    _row("upgrade-403", CUT, reason="403", then=NEW),
    _row("upgrade-502", CUT, reason="502", then=NEW),
    _row("upgrade-502", "notice tradeUpdatesUnavailable", variant="trading stream", options=TRADING, then=NEW),
    _row("mute-after-upgrade", CUT, reason="within 10 s", **HANDSHAKE),
    _row("mute-after-connected", CUT, reason="within 10 s", **HANDSHAKE),
    _row("mute-after-authenticated", CUT, reason="within 10 s", **HANDSHAKE),
    _row("mute-after-subscribe", SILENT, then=NEW, lane="silence"),
    _row("no-pong", variant="while quotes come", options={"count": 1}, lane="handshake"),
    _row("no-pong", SILENT, variant="and no quotes", reason="ping", then=("mute",), lane="silence"),
    _row(
        "no-pong", "notice tradeUpdatesUnavailable", variant="trading stream", options=TRADING, lane="silence",
        patience=60.0,
    ),
    _row("close-without-echo", SILENT, then=("mute",), lane="silence"),
    _row("auth-402", "halted authFailed", then=NEW, ending=_hang_up),
    _row(
        "auth-402", "notice tradeUpdatesUnavailable", variant="trading stream", options=TRADING, then=NEW,
        ending=_hang_up,
    ),
    _row("connection-406", "reconnecting connectionLimit", then=NEW),
    _row("insufficient-409", "halted insufficientSubscription", then=NEW, ending=_hang_up),
    _row("limit-405", "live symbolLimit", variant="once", then=NEW, ending=_reconnect),
    _row(
        "limit-405", "live symbolLimit", "notice notStreamed", variant="10 symbols", then=NEW,
        options={"limit": 10, "seconds": 600}, reason="read by REST", reaches=True, lane="limit", patience=80.0,
        proof=lambda scene: scene.follower.document["status"]["stream"]["subscribed"] == 10,
    ),
    _row("ack-lacks-symbol", "refused unacknowledged", options=SOME, then=NEW, reaches=True, ending=_reconnect),
    _row("reset", CUT),
    _row("reset-mid-frame", CUT),
    _row("close-1001", CUT),
    _row("mute", SILENT, lane="silence"),
    _row("slow-407", "reconnecting slowClient"),
    _row("text-frame", "refused frame"),
    _row("garbage", "refused frame"),
    _row("garbage", "refused tradeFrame", variant="trading stream", options=TRADING),
    _row("oversize-frame", "refused element"),
    _row("unknown-type", "refused element", arrives=NEXT_QUOTE),
    _row("timestamp-32", arrives=NEXT_QUOTE),
    _row("timestamp-96", arrives=NEXT_QUOTE),
    _row("integer-prices", arrives=(2, 3)),
    _row("no-bid", "quote zeroBid", arrives=(0, 2.66)),
    _row("crossed", "quote crossed", arrives=(2.71, 2.66)),
    _row("locked", "quote locked", arrives=(2.66, 2.66)),
    _row("stub", "quote stub", arrives=(0.05, 19.95)),
    _row("nan", "refused price", arrives=NEXT_QUOTE),
    _row("null-price", "refused element", arrives=NEXT_QUOTE),
    _row("duplicate-time", arrives=NEXT_QUOTE),
    _row("out-of-order-time", "refused outOfOrder", arrives=NEXT_QUOTE),
    _row("unsubscribed-symbol", "refused notHeld", arrives=NEXT_QUOTE),
    _row("silent-symbol", "notice silentSymbols", options=SOME, reaches=True, lane="silence", patience=60.0),
    _row(
        "burst", options={"seconds": 2},
        proof=lambda scene: scene.simulated.state()["quotesSent"] - scene.quotes_sent >= 10_000,
    ),
    _row("clock-skew", "refused future", lane="silence", patience=60.0),
    _row("rest-500", "error serverError", "breaker open"),
    _row("rest-stall", "error timeout"),
    _row("rest-drip", "error timeout"),
    _row("rest-html", "error malformed"),
    _row("rest-429", "error rateLimited", lane="rest-429", patience=80.0),
    _row("rest-empty", "error malformed"),
    _row("rest-truncated", "error malformed"),
    _row("rest-unknown-asset-class", options={"count": 2}),
    _row("rest-null-market-value", options={"count": 2}),
    _row("position-vanish", "notice brokenCondor"),
    _row("position-halve", "notice brokenCondor"),
    _row("position-flip", "notice brokenCondor"),
    _row("position-new-leg", proof=_has_new_contract),
)  # fmt: skip

LANES = tuple(dict.fromkeys(row.lane for row in ROWS))


def lane(name: str) -> list[Row]:
    """The rows of a lane."""
    return [row for row in ROWS if row.lane == name]
