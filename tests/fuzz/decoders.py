"""All our decoders of Alpaca's bytes, with the checks of their results.

REST responses reach the decoders as `bodies` decodes them, within the limits of their endpoint. The results are then
used as the daemon uses them, as a value that cannot be published or stored is as bad as a crash.
"""

import datetime as dt
import math
from collections import Counter, deque

import msgspec

from condord.core.calendar import Calendar
from condord.core.expiry import Expiry
from condord.core.held_hours import held_hours
from condord.core.lots import lots
from condord.live.link import TABLE, Link, LinkSettings
from condord.live.published import EVERYTHING
from condord.upstream import (
    account_parsing,
    activities,
    bodies,
    contracts,
    market_parsing,
    order_history,
    rest_parsing,
    working_orders,
)
from condord.upstream.activities import BOOKINGS, FILLS, PAST, Activities
from condord.upstream.classify_failure import rest_fault
from condord.upstream.contracts import ContractAnswers
from condord.upstream.option_stream import OptionStream
from condord.upstream.order_history import OrderHistory
from condord.upstream.past_progress import PastProgress
from condord.upstream.quote_protocol import QuoteProtocol
from condord.upstream.rest_fault import RestFault
from condord.upstream.state_files import Store
from condord.upstream.stock_stream import StockStream
from condord.upstream.trade_updates import TradeUpdates
from tests.fakes.alpaca import LOGIN, NETWORK, STARTED_AT
from tests.live.accounts import P560, P570, PublishingService, spy, status

DAY = dt.timedelta(days=1)
STATES = sorted({state for state, _ in TABLE} | {after for after, _ in TABLE.values()})
SYMBOL_LIMIT = 3
EXPIRIES = (Expiry("SPY", "SPY", dt.date(2026, 12, 18)), Expiry("SPX", "SPX", STARTED_AT.date()))
WANTED = (P560, P570, "SPY261218C00630000", "SPY261218C00640000")

REST = {
    "holdings": rest_parsing.holdings,
    "clock": lambda answer, refuse: rest_parsing.clock(answer, STARTED_AT),
    "calendar": lambda answer, refuse: rest_parsing.calendar(
        answer, STARTED_AT.date() - 14 * DAY, STARTED_AT.date() + 400 * DAY, refuse
    ),
    "ticks": rest_parsing.ticks,
    "contract": lambda answer, refuse: contracts.contract(P560, answer, refuse),
    "orders": order_history.page,
    "activities": lambda answer, refuse: activities.page(answer, refuse, FILLS + BOOKINGS),
    "past": lambda answer, refuse: activities.page(answer, refuse, PAST),
    "closes": market_parsing.day_closes,
    "splits": activities.splits,
    "account": lambda answer, refuse: rest_parsing.account_id(answer),
    "stocks": market_parsing.stock_snapshots,
    "indexes": market_parsing.index_values,
    "snapshots": market_parsing.option_snapshots,
    "dividends": market_parsing.dividends,
    "balances": lambda answer, refuse: account_parsing.account_summary(answer, STARTED_AT, refuse),
    "transfers": lambda answer, refuse: account_parsing.transfers_e4(answer, STARTED_AT.date(), refuse),
    "workingOrders": working_orders.working_orders,
    "fills": lambda answer, refuse: account_parsing.fills(answer, STARTED_AT.date(), refuse),
}


PATHS = {"holdings": "/v2/positions", "orders": "/v2/orders", "workingOrders": "/v2/orders"}


def parsed(name, body):
    """The decoded body of a response; None for an empty one, as in alpaca-py."""
    return bodies.decoded(body, bodies.limit_of(PATHS.get(name, "/v2/other"))) if body else None


def answer(name, body):
    """Decode a body; returns a value or the daemon's fault for it, and a counter of the refused parts."""
    refused = Counter()
    try:
        return REST[name](parsed(name, body), lambda kind: refused.update([kind])), refused
    except Exception as error:  # noqa: BLE001 - as `AlpacaRest` does; `check_answer` accepts only `malformed`
        return rest_fault(error), refused


def check_answer(name, body):
    """Decode a body and use the result; the only fault may be `malformed`. Returns the same as `answer`."""
    read, refused = answer(name, body)
    if isinstance(read, RestFault):
        assert read.code == "malformed", read.text
    else:
        USES[name](read)
    return read, refused


def published(service):
    """The document of a service, as a subscriber receives it."""
    subscriber = service.subscribe(EVERYTHING)
    service.wait(5.0)
    assert service.take(subscriber)
    return service.document(EVERYTHING)


def _use_holdings(holdings):
    service = PublishingService()
    service.set_positions(ContractAnswers().applied(holdings.options), stocks=holdings.stocks)
    published(service)


def _use_clock(clock):
    for days in (0, 1, 400):
        held_hours(clock, Calendar(), STARTED_AT + days * DAY, EXPIRIES)
    msgspec.json.encode((clock.next_open, clock.next_close))


def _use_calendar(calendar):
    clock = rest_parsing.clock(
        {"is_open": False, **dict.fromkeys(("next_open", "next_close", "timestamp"), STARTED_AT)}, STARTED_AT
    )
    held_hours(clock, calendar, STARTED_AT, EXPIRIES)
    service = PublishingService(spy())
    service.account.set_calendar(calendar)
    service.set_status(status())
    published(service)


def _use_ticks(ticks):
    service = PublishingService(spy())
    service.confirm(*ticks)
    published(service)


def _use_contract(contract):
    known = ContractAnswers()
    known.learn(P560, contract, STARTED_AT)
    msgspec.json.encode(known.to_save(STARTED_AT))
    service = PublishingService(known.applied(spy()))
    published(service)


def _use_orders(page):
    history = OrderHistory()
    history.take(page, STARTED_AT - 400 * DAY, page.open_since, STARTED_AT)
    history.begin(STARTED_AT)
    msgspec.json.encode(history.to_save(STARTED_AT))
    service = PublishingService()
    service.set_positions(spy(), lots(history.orders))
    published(service)


def _use_activities(page):
    read = Activities()
    read.take(page.activities, STARTED_AT)
    for kinds in (FILLS, BOOKINGS):
        read.begin(kinds, STARTED_AT)
    msgspec.json.encode(read.known)
    _follow(read.known, ())


def _use_past(page):
    progress = PastProgress(page.activities, STARTED_AT - DAY, STARTED_AT)
    while (request := progress.request(STARTED_AT, STARTED_AT - 60 * DAY)) is not None:
        progress.take(request, msgspec.structs.replace(page, is_full=request.token is None), STARTED_AT - 60 * DAY)
    assert progress.complete_from <= STARTED_AT - DAY
    msgspec.json.encode(page)


def _use_closes(page):
    assert all(symbol and close_e4 > 0 for (symbol, _), close_e4 in page.closes_e4.items())


def _use_splits(read):
    _follow((), read)


def _follow(known, splits):
    """Explain a condor that loses a leg when shares appear by activities and splits."""
    service = PublishingService(spy())
    service.account.lifecycle.set_bookings(known, splits)
    service.set_positions(spy()[1:], stocks={"SPY": 200})
    published(service)


def _use_account(identity):
    Store(None, account=identity)


def _use_stocks(read):
    for snapshot in read:
        assert snapshot.quote is None or snapshot.quote.is_sane
        bars = [bar for bar in (snapshot.today, snapshot.before) if bar is not None]
        assert all(bar.close_e4 > 0 for bar in bars)
    msgspec.json.encode(read)


def _use_snapshots(read):
    for snapshot in read:
        figures = (snapshot.iv, snapshot.delta, snapshot.gamma, snapshot.theta, snapshot.vega)
        assert all(figure is None or math.isfinite(figure) for figure in figures)
    msgspec.json.encode(read)


def _use_working_orders(read):
    assert all(leg.quantity for order in read for leg in order.legs)
    msgspec.json.encode(read)


USES = {
    "holdings": _use_holdings,
    "clock": _use_clock,
    "calendar": _use_calendar,
    "ticks": _use_ticks,
    "contract": _use_contract,
    "orders": _use_orders,
    "activities": _use_activities,
    "past": _use_past,
    "closes": _use_closes,
    "splits": _use_splits,
    "account": _use_account,
    "stocks": _use_stocks,
    "indexes": msgspec.json.encode,
    "snapshots": _use_snapshots,
    "dividends": msgspec.json.encode,
    "balances": msgspec.json.encode,
    "transfers": msgspec.json.encode,
    "workingOrders": _use_working_orders,
    "fills": msgspec.json.encode,
}


def receive(data):
    """The messages of one frame of the option stream, and the counters of refusals."""
    protocol = QuoteProtocol(symbol_limit=SYMBOL_LIMIT, refused={}, kinds=OptionStream.refusals)
    return list(protocol.receive(data)), protocol.refused


class _Sink:
    """Passes the quotes of a stream to a publishing service."""

    def __init__(self):
        self.service = PublishingService(spy())
        self.service.prices.set_exchange_time(STARTED_AT)

    def offer(self, ticks):
        self.service.offer(*ticks)

    def follow(self, symbols):
        """Ignore the set of streamed symbols."""

    def resume(self):
        """Ignore that the stream is live."""

    def gap(self):
        self.service.gap()


class _StockSink:
    """Passes the quotes of a stream to a publishing service, as quotes of its only underlying."""

    def __init__(self):
        self.service = PublishingService(spy())

    def offer_stocks(self, ticks):
        named = [msgspec.structs.replace(tick, symbol="SPY") for tick in ticks]
        self.service.publisher.offer_stocks(named, self.service.now)


class _FixedClock:
    """A runner with a fixed clock and no loop."""

    def now(self):
        return 1000.0


class _OptionStream(_FixedClock, OptionStream):
    pass


class _StockStream(_FixedClock, StockStream):
    pass


class _TradeUpdates(_FixedClock, TradeUpdates):
    pass


def _link():
    settings = LinkSettings(name="it", silence_seconds=60.0, backoff_min_seconds=1.0, backoff_max_seconds=60.0)
    return Link(settings, chance=lambda: 0.5)


def _events_to(state):
    """The shortest sequence of events from the start to `state`, by the link's own table."""
    paths, queue = {"starting": ()}, deque(["starting"])
    while state not in paths:
        current = queue.popleft()
        for (before, event), (after, _) in TABLE.items():
            if before == current and after not in paths:
                paths[after] = (*paths[current], event)
                queue.append(after)
    return paths[state]


def option_stream(state):
    """An option stream whose link is in `state`, and the service of its sink."""
    sink = _Sink()
    stream = _OptionStream(
        _link(),
        url="ws://127.0.0.1:1/",
        login=LOGIN,
        network=NETWORK,
        symbol_limit=SYMBOL_LIMIT,
        sink=sink,
        now_at=lambda: STARTED_AT,
        newer=None,
        live=lambda: None,
        changed=lambda: None,
    )
    stream.want(WANTED)
    stream.begin()
    for event in _events_to(state):
        stream.step(event)
    assert stream.link.state == state
    return stream, sink.service


def stock_stream(state):
    """A stock stream whose link is in `state`, and the service of its sink."""
    sink = _StockSink()
    stream = _StockStream(
        _link(),
        url="ws://127.0.0.1:1/",
        login=LOGIN,
        network=NETWORK,
        symbol_limit=SYMBOL_LIMIT,
        sink=sink,
        now_at=lambda: STARTED_AT,
        newer=None,
        live=lambda: None,
        changed=lambda: None,
    )
    stream.want(WANTED)
    stream.begin()
    for event in _events_to(state):
        stream.step(event)
    assert stream.link.state == state
    return stream, sink.service


def trade_updates(state):
    """A trading stream whose link is in `state`, and the list of its hints."""
    hints = []
    updates = _TradeUpdates(
        _link(),
        url="ws://127.0.0.1:1/",
        login=LOGIN,
        network=NETWORK,
        traded=lambda: hints.append(1),
        changed=lambda: None,
    )
    for event in _events_to(state):
        updates.step(event)
    assert updates.link.state == state
    return updates, hints


def check_option_frame(state, data):
    """Let an option stream in `state` read a frame; check that its requests are few and valid and that it publishes."""
    stream, service = option_stream(state)
    before = len(stream._outbox)
    stream.read(data)
    sent = [msgspec.msgpack.decode(message) for message in stream._outbox[before:]]
    assert len(sent) <= len(data) // 10 + 1
    for request in sent:
        assert request["action"] in ("auth", "subscribe", "unsubscribe")
        assert request["action"] != "subscribe" or set(request["quotes"]) <= set(WANTED)
    _check_line(stream)
    published(service)
    return stream, service


def check_stock_frame(state, data):
    """Let a stock stream in `state` read a frame; check that it counts only its own refusals and that it publishes."""
    stream, service = stock_stream(state)
    stream.read(data)
    assert stream.refused.keys() <= set(StockStream.refusals)
    assert stream.delivered <= stream.streamed
    assert not stream.has_missed([])
    _check_line(stream)
    published(service)
    return stream, service


def check_trading_frame(state, data):
    """Let a trading stream in `state` read a frame; check that it causes at most one hint or one refusal."""
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
