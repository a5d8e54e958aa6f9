"""Everything of ours that reads bytes of Alpaca, called in this one place, and what must hold after it did.

REST answers come to the decoders as `requests` hands them on, so Python's own JSON is a part of what is tried. What was
read is then used as the daemon uses it: a value that cannot be published or stored is no better than a crash.
"""

import datetime as dt
import math
from collections import Counter, deque

import msgspec
import requests

from condord.core.session import is_trading_at
from condord.live.edition import EVERYTHING
from condord.live.link import TABLE, Link, LinkSettings
from condord.upstream import contracts, history, rows
from condord.upstream.contracts import Contracts
from condord.upstream.faults import RestFault, rest_fault
from condord.upstream.history import History
from condord.upstream.option_protocol import OptionProtocol
from condord.upstream.option_stream import OptionStream
from condord.upstream.trade_updates import TradeUpdates
from tests.fakes.alpaca import LOGIN, STARTED_AT
from tests.live.accounts import P560, P570, House, spy

DAY = dt.timedelta(days=1)
STATES = sorted({state for state, _ in TABLE} | {after for after, _ in TABLE.values()})
SYMBOL_LIMIT = 3
WANTED = (P560, P570, "SPY261218C00630000", "SPY261218C00640000")

REST = {
    "holdings": rows.holdings,
    "clock": lambda answer, refuse: rows.clock(answer, STARTED_AT),
    "hours": lambda answer, refuse: rows.hours(answer, STARTED_AT.date(), refuse),
    "ticks": rows.ticks,
    "contract": lambda answer, refuse: contracts.contract(P560, answer, refuse),
    "orders": history.page,
}


def parsed(body):
    """What alpaca-py makes of the body of an answer."""
    response = requests.Response()
    response.status_code, response.encoding, response._content = 200, "utf-8", body
    return response.json()


def answer(name, body):
    """What a decoder makes of a body: a value, or the fault that the daemon would see; and how many parts it refused."""
    refused = Counter()
    try:
        return REST[name](parsed(body), lambda kind: refused.update([kind])), refused
    except Exception as error:  # noqa: BLE001 - as `AlpacaRest` does; `rest_fault` says what it takes for an answer
        return rest_fault(error), refused


def check_answer(name, body):
    """Read a body, and use what comes of it; it is `malformed` at worst. As `answer`."""
    read, refused = answer(name, body)
    if isinstance(read, RestFault):
        assert read.code == "malformed", read.text
    else:
        USES[name](read)
    return read, refused


def published(house):
    """The document of a house, as a subscriber gets it."""
    subscriber = house.subscribe(EVERYTHING)
    house.wait(5.0)
    assert house.take(subscriber)
    return house.document(EVERYTHING)


def _use_holdings(holdings):
    house = House()
    house.set_positions(Contracts().applied(holdings.options), stocks=holdings.stocks)
    published(house)


def _use_clock(clock):
    for days in (0, 1, 400):
        is_trading_at(clock, None, STARTED_AT + days * DAY, ["SPY"])
    msgspec.json.encode((clock.next_open, clock.next_close))


def _use_hours(hours):
    clock = rows.clock(
        {"is_open": False, **dict.fromkeys(("next_open", "next_close", "timestamp"), STARTED_AT)}, STARTED_AT
    )
    is_trading_at(clock, hours, STARTED_AT, ["SPY"])


def _use_ticks(ticks):
    house = House(spy())
    house.confirm(*ticks)
    published(house)


def _use_contract(contract):
    told = Contracts()
    told.learn(P560, contract, STARTED_AT)
    msgspec.json.encode(told.kept(STARTED_AT))
    house = House(told.applied(spy()))
    published(house)


def _use_orders(page):
    told = History()
    told.take(page, page.open_since, STARTED_AT)
    told.begin(STARTED_AT)
    msgspec.json.encode(told.kept(STARTED_AT))
    house = House()
    house.set_positions(spy(), told.lots)
    published(house)


USES = {
    "holdings": _use_holdings,
    "clock": _use_clock,
    "hours": _use_hours,
    "ticks": _use_ticks,
    "contract": _use_contract,
    "orders": _use_orders,
}


def receive(data):
    """The messages of one frame of the option stream, and what was counted."""
    protocol = OptionProtocol(symbol_limit=SYMBOL_LIMIT, refused={})
    return list(protocol.receive(data)), protocol.refused


class _Desk:
    """A house that takes the quotes of a stream."""

    def __init__(self):
        self.house = House(spy())
        self.house.prices.set_exchange_time(STARTED_AT)

    def offer(self, ticks):
        self.house.offer(*ticks)

    def follow(self, symbols):
        """These are streamed from here on."""

    def resume(self):
        """The stream is live."""

    def gap(self):
        self.house.gap()


class _Calm:
    """A line whose clock stands still, without a loop."""

    def now(self):
        return 1000.0


class _OptionStream(_Calm, OptionStream):
    pass


class _TradeUpdates(_Calm, TradeUpdates):
    pass


def _link():
    settings = LinkSettings(name="it", silence_seconds=60.0, backoff_min_seconds=1.0, backoff_max_seconds=60.0)
    return Link(settings, chance=lambda: 0.5)


def _way_to(state):
    """The events that lead from the start to `state`, by the link's own table."""
    ways, waiting = {"starting": ()}, deque(["starting"])
    while state not in ways:
        here = waiting.popleft()
        for (before, event), (after, _) in TABLE.items():
            if before == here and after not in ways:
                ways[after] = (*ways[here], event)
                waiting.append(after)
    return ways[state]


def option_stream(state):
    """An option stream whose link is in `state`, and its desk."""
    desk = _Desk()
    stream = _OptionStream(
        _link(),
        url="ws://127.0.0.1:1/",
        login=LOGIN,
        symbol_limit=SYMBOL_LIMIT,
        desk=desk,
        now_at=lambda: STARTED_AT,
        newer=None,
        live=lambda: None,
        changed=lambda: None,
    )
    stream.want(WANTED)
    stream.begin()
    for event in _way_to(state):
        stream.step(event)
    assert stream.link.state == state
    return stream, desk.house


def trade_updates(state):
    """A trading stream whose link is in `state`, and the list of its hints."""
    hints = []
    updates = _TradeUpdates(
        _link(), url="ws://127.0.0.1:1/", login=LOGIN, traded=lambda: hints.append(1), changed=lambda: None
    )
    for event in _way_to(state):
        updates.step(event)
    assert updates.link.state == state
    return updates, hints


def check_option_frame(state, data):
    """Let an option stream in `state` read a frame; its requests stay few and sane, and the document can be published."""
    stream, house = option_stream(state)
    before = len(stream._outbox)
    stream.read(data)
    requests_ = [msgspec.msgpack.decode(message) for message in stream._outbox[before:]]
    assert len(requests_) <= len(data) // 10 + 1
    for request in requests_:
        assert request["action"] in ("auth", "subscribe", "unsubscribe")
        assert request["action"] != "subscribe" or set(request["quotes"]) <= set(WANTED)
    _check_line(stream)
    published(house)
    return stream, house


def check_trading_frame(state, data):
    """Let a trading stream in `state` read a frame; all of it is at most one hint or one refusal."""
    updates, hints = trade_updates(state)
    before = len(hints)
    updates.read(data)
    assert len(hints) - before + sum(updates.refused.values()) <= 1
    _check_line(updates)
    return updates, hints


def _check_line(line):
    assert line.link.state in STATES
    assert line.link.deadline is None or math.isfinite(line.link.deadline)
    assert msgspec.json.encode(line.link.fault)
