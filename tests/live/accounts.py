"""Shared by the tests of `condord.live`: accounts, quotes, a clock, and a client that reads the stream by its rules."""

import datetime as dt
import json
from decimal import ROUND_FLOOR, Decimal

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from condord.core.cost import fill_cost
from condord.core.lots import Lot
from condord.core.occ import parse
from condord.core.position import Position
from condord.core.quote import Tick
from condord.live import render, wire
from condord.live.account import AccountState
from condord.live.book import Book
from condord.live.coalescer import Coalescer
from condord.live.fanout import Fanout
from condord.live.frames import MAX_LINE_BYTES
from condord.live.prices import Prices
from condord.live.published import Edition
from condord.live.publisher import Publisher
from condord.live.wire_risk import ModelJson
from tests.core.strategies import lot_leg

EPOCH_AT = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)  # 10:00 in New York, four weeks before expiration
DAY = dt.date(2026, 11, 20)
OPEN = wire.MarketJson(is_open=True, next_open=EPOCH_AT, next_close=EPOCH_AT + dt.timedelta(days=60))
"""A session that does not end in a test."""
CLOSED = wire.MarketJson(is_open=False, next_open=EPOCH_AT, next_close=EPOCH_AT)
MODEL = ModelJson(rate=0.04, dividend_yields={"SPX": 0.012})

REPEATABLE = settings(
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
"""The same examples on every machine and in every order."""


def option(strike, right="P", root="SPY"):
    return f"{root}261218{right}{strike * 1000:08d}"


P560, P570, C630, C640, C650 = option(560), option(570), option(630, "C"), option(640, "C"), option(650, "C")
Q400, Q410, Q450, Q460 = (option(400, root="QQQ"), option(410, root="QQQ"), option(450, "C", "QQQ"), option(460, "C", "QQQ"))  # fmt: skip
SPY_ID, QQQ_ID = "SPY-261218-560-570-630-640", "QQQ-261218-400-410-450-460"
UNREADABLE = "SPY-NO-OPTION"


def position(symbol, quantity, entry=1.0, *, multiplier=100, **fields):
    entry_e4 = round(entry * 10_000)
    defaults = {
        "symbol": symbol,
        "contract": parse(symbol),
        "quantity": quantity,
        "average_entry_e4": entry_e4,
        "cost_basis_e4": None if quantity is None else entry_e4 * quantity * multiplier,
        "multiplier": multiplier,
        "underlying": parse(symbol).root,
    }
    return Position(**{**defaults, **fields})


def unreadable(symbol=UNREADABLE, quantity=1):
    return Position(
        symbol=symbol,
        contract=None,
        quantity=quantity,
        average_entry_e4=None,
        cost_basis_e4=None,
        problem="no option symbol",
    )


def spy(quantity=2):
    """A short iron condor with a credit of 2.35."""
    return (
        position(P560, quantity, 1.21),
        position(P570, -quantity, 2.40),
        position(C630, -quantity, 2.26),
        position(C640, quantity, 1.10),
    )


def qqq(quantity=1):
    """A long iron condor with a debit of 2.00."""
    return (
        position(Q400, -quantity, 1.00),
        position(Q410, quantity, 2.00),
        position(Q450, quantity, 2.00),
        position(Q460, -quantity, 1.00),
    )


def lot(quantity=2, *, realized_e4=0):
    """An order's lot of the condor of `spy`, whose own fills were at a credit of 4.00."""
    prices = {P560: (1, 10_000), P570: (-1, 30_000), C630: (-1, 30_000), C640: (1, 10_000)}
    legs = tuple(lot_leg(parse(symbol), sign * quantity, price_e4) for symbol, (sign, price_e4) in prices.items())
    rolls = (fill_cost(-realized_e4 * 100 * quantity, quantity),)
    return Lot(id="order", since_at=EPOCH_AT, opened_at=EPOCH_AT, quantity=quantity, legs=legs, realized=rolls)


ACCOUNTS = {
    "nothing": (),
    "condor": spy(),
    "condor and a call": (*spy(), position(C650, 3, 0.40)),
    "broken": spy()[:3],
    "two condors": (*spy(), *qqq()),
    "shared call": (*spy()[2:], position(P560, 2, 1.21), position(P570, -1, 2.40), position(option(575), -1, 2.9)),
    "shared call without puts": (
        position(P560, 2, 1.21, cost_basis_e4=2_420_300),
        *spy()[2:3],
        position(C640, 2, 1.10, cost_basis_e4=2_200_100),
    ),
    "unpaid": (*qqq()[:3], position(Q460, -1, 1.0, cost_basis_e4=None), position(C650, -1, 0.40)),
    "unreadable": (*spy(1), unreadable()),
}
SYMBOLS = sorted({held.symbol for account in ACCOUNTS.values() for held in account if held.contract})
CONDOR_IDS = (SPY_ID, QQQ_ID)


def tick(symbol, bid, ask, second=0.0, sizes=(10.0, 10.0)):
    """A quote of `second` after the epoch."""
    at = EPOCH_AT + dt.timedelta(seconds=second)
    return Tick(symbol=symbol, at=at, bid=bid, ask=ask, bid_size=sizes[0], ask_size=sizes[1])


def status(state="live", *, read=0, message=0, **fields):
    defaults = {
        "state": state,
        "reason": None if state in ("live", "closed") else f"it is {state}",
        "code": None,
        "since": EPOCH_AT,
        "source": "simulator",
        "feed": "indicative",
        "market": OPEN,
        "stream": wire.StreamJson(
            connected=True,
            subscribed=8,
            requested=8,
            reconnects=0,
            last_message_at=EPOCH_AT + dt.timedelta(seconds=message),
        ),
        "positions": wire.Positions(read_at=EPOCH_AT + dt.timedelta(seconds=read), error=None, breaker="closed"),
        "notices": [],
        "model": MODEL,
    }
    return wire.Status(**{**defaults, **fields})


def make_edition(*, epoch="k3f9", replay_size=1024):
    unread = render.unread_status("simulator", "indicative", MODEL, EPOCH_AT)
    return Edition(epoch=epoch, replay_size=replay_size, status=unread, totals=render.UNREAD_TOTALS)


MAX_TICKS = 20


class CountingCoalescer(Coalescer):
    """Counts in `taken` how often what waited was judged."""

    taken = 0

    def take(self, now):
        is_taken = super().take(now)
        self.taken += is_taken
        return is_taken


class PublishingService:
    """A publisher with everything behind it, and a clock that only the test moves."""

    def __init__(
        self,
        positions=None,
        *,
        window=0.25,
        min_change_e4=100,
        ring_size=256,
        replay_size=1024,
        ttl=600.0,
        max_symbols=10_000,
        settle_seconds=0.0,
        alerts=None,
    ):
        self.now = 100.0
        self.clock_is_ahead_by = 0.0
        self.moves = 0
        self.edition = make_edition(replay_size=replay_size)
        self.prices = Prices(max_symbols=max_symbols, ttl_seconds=ttl)
        self.book = Book(edition=self.edition, prices=self.prices, min_change_e4=min_change_e4)
        self.fanout = Fanout(self.edition, ring_size=ring_size)
        self.coalescer = CountingCoalescer(window)
        self.account = AccountState(settle_seconds)
        self.recorded, self.alert_changes = [], []
        self.alerts = None if alerts is None else alerts(self.edition)
        self.publisher = Publisher(
            account=self.account,
            book=self.book,
            coalescer=self.coalescer,
            fanout=self.fanout,
            recorder=self.recorded.append,
            alerts=self.alerts,
            on_alerts=self.alert_changes.append,
        )
        if positions is not None:
            self.set_positions(positions)

    @property
    def now_at(self):
        return EPOCH_AT + dt.timedelta(seconds=self.now + self.clock_is_ahead_by)

    def offer(self, *ticks):
        self.publisher.offer(ticks, self.now)
        return self.turn()

    def confirm(self, *ticks):
        self.publisher.confirm(ticks, self.now, self.prices.generation)
        return self.turn()

    def offer_stocks(self, *ticks):
        self.publisher.offer_stocks(ticks, self.now)
        return self.turn() + self.wait(self.book.risks.interval_seconds)

    def gap(self):
        self.publisher.gap(self.now)
        return self.turn()

    def set_positions(self, positions, lots=(), stocks=None, orders=()):
        woken = self.publisher.set_positions(positions, self.now, self.now_at, lots=lots, stocks=stocks, orders=orders)
        return woken + self.turn()

    def set_status(self, new):
        return self.publisher.set_status(new, self.now, self.now_at) + self.turn()

    def move(self, symbol=P560):
        """One change that counts, and a second for it to leave."""
        self.moves += 1
        price = 1 + self.moves % 40
        return self.offer(tick(symbol, price, price, self.moves)) + self.wait(1.0)

    def turn(self):
        """Tick while that is due now, as the event loop does: a pass over risk figures takes a tick for each slice."""
        woken = []
        for _ in range(MAX_TICKS):
            if (deadline := self.publisher.deadline) is None or deadline > self.now:
                return woken
            woken += self.publisher.tick(self.now, self.now_at)
        raise AssertionError("it turns in a tight loop")

    def wait(self, seconds):
        """Let time pass, with a tick at every deadline on the way."""
        until, woken = self.now + seconds, []
        while (deadline := self.publisher.deadline) is not None and deadline <= until:
            self.now = max(self.now, deadline)
            woken += self.turn()
        self.now = until
        return woken

    def subscribe(self, selection, *, interval=0.0, version=None, coding="identity"):
        return self.fanout.subscribe(
            selection=selection,
            interval_seconds=interval,
            version=version,
            now_at=self.now_at,
            wake=lambda: None,
            coding=coding,
        )

    @property
    def announced(self):
        """How many changes of alerts were sent to subscribers."""
        return len(self.alerts.transitions) - len(self.publisher.alerts.waiting)

    def take(self, subscriber):
        return events(subscriber.take(lambda: self.now_at))

    def document(self, selection):
        return settled(json.loads(wire.encode(self.edition.document(self.now_at, selection))))

    def quote(self, symbol):
        """The published quote."""
        return next(quote for quote in self.edition.document(self.now_at).quotes if quote.symbol == symbol)


def events(stream):
    """The events of a text/event-stream as (event, id, data); strict about what a browser would let pass."""
    assert stream == b"" or stream.endswith(b"\n\n")
    assert all(len(line) < MAX_LINE_BYTES for line in stream.split(b"\n"))
    found = []
    for block in stream.decode("utf-8").split("\n\n")[:-1]:
        fields = [line.partition(": ") for line in block.split("\n") if not line.startswith(":")]
        assert all(separator for _, separator, _ in fields), block
        data = "\n".join(value for name, _, value in fields if name == "data")
        named = {name: value for name, _, value in fields if name != "data"}
        assert len(named) + sum(name == "data" for name, _, _ in fields) == len(fields), block
        assert named.keys() <= {"event", "id", "retry"}, block
        found.append((named["event"], named.get("id"), json.loads(data)))
    return found


def applied(document, event, identity, data):
    """The document of a client after one event, by the rule of the stream and nothing else."""
    if event == "snapshot":
        assert data["version"] == identity
        return settled(data)
    if event != "delta":
        assert identity is None
        return document
    document = json.loads(json.dumps(document))
    document["version"] = identity
    for name in ("quotes", "unmatched", "underlyings"):
        places = {entry["symbol"]: place for place, entry in enumerate(document[name])}
        for entry in data.get(name, ()):
            document[name][places[entry["symbol"]]] = entry
    condors = {condor["id"]: condor for condor in document["condors"]}
    for name, part, key in (
        ("valuations", "valuation", None),
        ("risks", "risk", None),
        ("closing", "closing", "orders"),
    ):
        for entry in data.get(name, ()):
            condors[entry["id"]][part] = entry if key is None else entry[key]
    for points in data.get("history", ()):
        for name in ("seconds", "cents"):
            condors[points["id"]]["history"][name] += points[name]
    document["alerts"] = applied_alerts(document["alerts"], data)
    document.update({name: data[name] for name in ("totals", "account", "status") if name in data})
    for broken in document["broken"]:
        broken["unrealizedPl"] = left_pl(broken, document["unmatched"])
    return settled(document)


def applied_alerts(before, data):
    alerts = {alert["id"]: alert for alert in (*before, *data.get("alerts", ()))}
    for gone in data.get("alertsGone", ()):
        del alerts[gone]
    since = {identity: dt.datetime.fromisoformat(alert["since"]).timestamp() for identity, alert in alerts.items()}
    return sorted(alerts.values(), key=lambda alert: (-since[alert["id"]], alert["id"]))


def left_pl(broken, unmatched):
    """The profit or loss of what is left of a broken condor, by the rule of the document and nothing else."""
    entries, total = {entry["symbol"]: entry for entry in unmatched}, Decimal(0)
    for leg in broken["legs"]:
        if leg["held"]:
            entry = entries[leg["symbol"]]
            if entry["unrealizedPl"] is None:
                return None
            part = Decimal(repr(entry["unrealizedPl"]))
            if leg["held"] < entry["quantity"]:
                cents = part * 100 * leg["held"] / entry["quantity"]
                part = (cents + Decimal("0.5")).to_integral_value(ROUND_FLOOR) / 100
            total += part
    return float(total)


def settled(document):
    """The document without the four instants that move without an event."""
    document = {name: value for name, value in document.items() if name != "asOf"}
    fill_cost = document["status"]
    document["status"] = {
        **fill_cost,
        "stream": {**fill_cost["stream"], "lastMessageAt": None},
        "positions": {**fill_cost["positions"], "readAt": None},
    }
    if document["account"] is not None:
        document["account"] = {**document["account"], "readAt": None}
    return document


cents = st.integers(0, 40).map(lambda number: number / 10)
fine = st.integers(0, 2_000).map(lambda number: 1 + number / 10_000)
strange = st.sampled_from([float("nan"), float("inf"), -0.01, 1e6])
prices = st.one_of(cents, cents, fine, fine, fine, strange)


NOT_HELD = option(500)


@st.composite
def ticks(draw, symbols=(*SYMBOLS, NOT_HELD), latest=20):
    """Quotes of every state, some of them no sane quotes, at whole seconds so that many are equal or late."""
    return tick(
        draw(st.sampled_from(symbols)),
        draw(prices),
        draw(prices),
        draw(st.integers(0, latest)),
        (draw(st.sampled_from([0.0, 5.0, float("nan")])), 10.0),
    )
