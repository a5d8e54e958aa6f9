import types
from typing import get_args

import pytest

from condord.config.schema import Server
from condord.daemon import counts, metrics_source
from condord.daemon.subscribers import Subscribers
from condord.live.fanout import RESYNCS
from condord.live.link import RELOADED, Link, LinkFault, LinkSettings
from condord.live.published import EVERYTHING
from condord.live.wire import Code, Refusal
from tests.http.fake_daemon import LEGS, NOW_AT, FakeDaemon, tick

LEG = next(iter(LEGS))


class FakeStream:
    """The counters of a stream of Alpaca."""

    def __init__(self, name, *kinds):
        bounds = LinkSettings(name=name, silence_seconds=60.0, backoff_min_seconds=1.0, backoff_max_seconds=60.0)
        self.link = Link(bounds, chance=lambda: 0.5)
        self.messages = dict.fromkeys(kinds, 0)

    def come_up(self):
        for event in ("due", "welcomed", "authenticated", "acknowledged"):
            self.link.handle(event, 0.0)

    def fail(self, code):
        self.link.handle("fault", 0.0, LinkFault(code=code, text="it is cut"))
        self.link.closed(0.0)


class FakeUpstream:
    """The counters of the supervisor and of REST."""

    def __init__(self, status):
        self.stream = FakeStream("the option stream", "quote")
        self.trades = FakeStream("the trading stream", "trade_updates")
        self.market = types.SimpleNamespace(stream=None, messages={"quote": 0})
        self.refused = {"frame": 2}
        self.rate_limited = 3
        self.breakers = {"trading": "closed", "data": "open"}
        self.budget_room = {"positions": 3}
        self.budget_waits = {"positions": 1}
        self._status = status

    def status(self):
        return self._status


class Parts:
    """Every part that counts something."""

    def __init__(self):
        self.daemon = FakeDaemon()
        self.upstream = FakeUpstream(self.daemon.edition.status)
        self.subscribers = Subscribers(self.daemon.fanout, settings=Server, now_at=lambda: NOW_AT)

    def numbers(self):
        return metrics_source.numbers(
            supervisor=self.upstream,
            brokerage=self.upstream,
            book=self.daemon.publisher.book,
            counts=counts.own(self.daemon.fanout, self.subscribers, log_dropped=6),
            max_subscribers=5,
            recorder=types.SimpleNamespace(rows=40, has_fault=True),
            alerts=types.SimpleNamespace(
                counts={("tested", "firing"): 2},
                evaluations=9,
                delivery=types.SimpleNamespace(counts={("phone", "delivered"): 3}),
            ),
        )

    def follow(self):
        return self.subscribers.subscribe(EVERYTHING, 0.0, None, "identity", lambda: None)


@pytest.fixture
def parts():
    return Parts()


def test_each_number_comes_from_the_part_that_counts_it(parts):
    subscriber = parts.follow()
    subscriber.take(parts.subscribers.now_at)
    parts.subscribers.sent_bytes = 700
    parts.daemon.quote(tick(LEG, 1.0, 1.2, 1), tick(LEG, 2.0, 2.2, 2), tick("SPY261218P00100000", 1.0, 1.2))
    numbers = parts.numbers()
    assert numbers.status == parts.upstream.status()
    assert (numbers.published.condors, numbers.published.quotes) == (1, 4)
    assert (numbers.rate_limited, numbers.superseded) == (3, 1)
    assert numbers.breakers == {"trading": "closed", "data": "open"}
    assert (numbers.budget_room, numbers.budget_waits) == ({"positions": 3}, {"positions": 1})
    assert (numbers.subscribers, numbers.max_subscribers, numbers.log_dropped) == (1, 5, 6)
    assert (numbers.frames, numbers.dropped, numbers.sent_bytes) == (2, 0, 700)
    assert (numbers.history_rows, numbers.history_fault) == (40, True)
    parts.subscribers.unsubscribe(subscriber)
    assert parts.numbers().disconnects == {"client": 1, "stalled": 0, "stopped": 0}


def test_the_refusals_of_all_parts_are_merged(parts):
    parts.daemon.quote(tick("SPY261218P00100000", 1.0, 1.2))
    parts.daemon.publisher.book.underlying_prices.refused["notHeld"] = 3
    refused = parts.numbers().refused
    assert (refused["notHeld"], refused["frame"]) == (4, 2)


def test_a_counter_that_has_not_counted_yet_is_zero_instead_of_missing(parts):
    numbers = parts.numbers()
    assert set(numbers.refused) == set(get_args(Refusal))
    assert set(numbers.resyncs) == set(RESYNCS)
    for stream in numbers.streams.values():
        assert stream.failures == dict.fromkeys(get_args(Code), 0)
        assert stream.reconnects == dict.fromkeys((*get_args(Code), RELOADED), 0)


def test_a_stream_is_connected_while_it_serves(parts):
    option = parts.upstream.stream
    assert not parts.numbers().streams["option"].connected
    option.come_up()
    assert parts.numbers().streams["option"].connected
    assert not parts.numbers().streams["trading"].connected
    option.fail("slowClient")
    assert not parts.numbers().streams["option"].connected
    option.link.handle("retry", 1.0)
    option.come_up()
    stream = parts.numbers().streams["option"]
    assert (stream.failures["slowClient"], stream.reconnects["slowClient"]) == (1, 1)


def test_the_stock_stream_counts_from_zero_before_it_is_needed(parts):
    stock = parts.numbers().streams["stock"]
    assert (stock.connected, stock.messages) == (False, {"quote": 0})
    parts.upstream.market.stream = stream = FakeStream("the stock stream", "quote")
    stream.come_up()
    stream.messages["quote"] = 7
    stock = parts.numbers().streams["stock"]
    assert (stock.connected, stock.messages) == (True, {"quote": 7})


def test_a_scrape_publishes_nothing_and_reads_no_subscriber(parts):
    parts.follow()
    version = parts.daemon.edition.version
    parts.daemon.fanout._views = None  # there may be thousands in it
    assert parts.numbers().subscribers == 1
    assert parts.daemon.edition.version == version
