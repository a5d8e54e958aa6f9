from typing import get_args

import pytest

from condord import counts
from condord.audience import Audience
from condord.config import Server
from condord.live.edition import EVERYTHING
from condord.live.fanout import RESYNCS
from condord.live.link import RELOADED, Fault, Link, LinkSettings
from condord.live.wire import Code, Refusal
from tests.http.asking import LEGS, NOW_AT, FakeDaemon, tick

LEG = next(iter(LEGS))


class Line:
    """A stream of Alpaca, as far as it is counted."""

    def __init__(self, name, *kinds):
        bounds = LinkSettings(name=name, silence_seconds=60.0, backoff_min_seconds=1.0, backoff_max_seconds=60.0)
        self.link = Link(bounds, chance=lambda: 0.5)
        self.messages = dict.fromkeys(kinds, 0)

    def come_up(self):
        for event in ("due", "welcomed", "authenticated", "acknowledged"):
            self.link.handle(event, 0.0)

    def fail(self, code):
        self.link.handle("fault", 0.0, Fault(code=code, text="it is cut"))
        self.link.closed(0.0)


class Upstream:
    """A supervisor and REST, as far as they are counted."""

    def __init__(self, status):
        self.stream = Line("the option stream", "quote")
        self.trades = Line("the trading stream", "trade_updates")
        self.refused = {"frame": 2}
        self.rate_limited = 3
        self._status = status

    def status(self):
        return self._status


class House:
    """Everything that counts."""

    def __init__(self):
        self.daemon = FakeDaemon()
        self.upstream = Upstream(self.daemon.edition.status)
        self.audience = Audience(self.daemon.fanout, settings=Server, now_at=lambda: NOW_AT)

    def numbers(self):
        return counts.numbers(
            supervisor=self.upstream,
            brokerage=self.upstream,
            publisher=self.daemon.publisher,
            audience=self.audience,
            max_subscribers=5,
        )

    def follow(self):
        return self.audience.subscribe(EVERYTHING, 0.0, None, "identity", lambda: None)


@pytest.fixture
def house():
    return House()


def test_each_number_is_that_of_the_part_which_counts_it(house):
    subscriber = house.follow()
    taken = house.audience.take(subscriber)
    house.daemon.quote(tick(LEG, 1.0, 1.2, 1), tick(LEG, 2.0, 2.2, 2), tick("SPY261218P00100000", 1.0, 1.2))
    numbers = house.numbers()
    assert numbers.status == house.upstream.status()
    assert (numbers.published.condors, numbers.published.quotes) == (1, 4)
    assert (numbers.rate_limited, numbers.superseded) == (3, 1)
    assert (numbers.subscribers, numbers.max_subscribers) == (1, 5)
    assert (numbers.frames, numbers.dropped, numbers.taken_bytes) == (2, 0, len(taken))
    house.audience.unsubscribe(subscriber)
    assert house.numbers().disconnects == {"client": 1, "stalled": 0, "stopped": 0}


def test_refusals_of_every_part_stand_side_by_side(house):
    house.daemon.quote(tick("SPY261218P00100000", 1.0, 1.2))
    refused = house.numbers().refused
    assert (refused["notHeld"], refused["frame"]) == (1, 2)


def test_what_has_not_happened_yet_is_zero_and_not_missing(house):
    numbers = house.numbers()
    assert set(numbers.refused) == set(get_args(Refusal))
    assert set(numbers.resyncs) == set(RESYNCS)
    for stream in numbers.streams.values():
        assert stream.failures == dict.fromkeys(get_args(Code), 0)
        assert stream.reconnects == dict.fromkeys((*get_args(Code), RELOADED), 0)


def test_a_stream_is_connected_while_it_serves(house):
    option = house.upstream.stream
    assert not house.numbers().streams["option"].connected
    option.come_up()
    assert house.numbers().streams["option"].connected
    assert not house.numbers().streams["trading"].connected
    option.fail("slowClient")
    assert not house.numbers().streams["option"].connected
    option.link.handle("retry", 1.0)
    option.come_up()
    stream = house.numbers().streams["option"]
    assert (stream.failures["slowClient"], stream.reconnects["slowClient"]) == (1, 1)


def test_looking_publishes_nothing_and_looks_at_no_subscriber(house):
    house.follow()
    version = house.daemon.edition.version
    house.daemon.fanout._views = None  # there may be thousands in it
    assert house.numbers().subscribers == 1
    assert house.daemon.edition.version == version
