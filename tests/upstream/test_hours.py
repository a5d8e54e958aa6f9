import datetime as dt

import msgspec
import pytest

from condord.core.session import Hours
from condord.live import wire
from condord.upstream.faults import RestFault
from condord.upstream.hours import HoursReader
from tests.fakes.alpaca import OPEN, OUTAGE, SHUT, STARTED_AT, FakeBrokerage
from tests.virtualtime import run


class Wall:
    """A wall clock that is set by hand."""

    def __init__(self):
        self.at = STARTED_AT

    def __call__(self):
        return self.at


def reader():
    wall, brokerage = Wall(), FakeBrokerage()
    return HoursReader(brokerage=brokerage, now_at=wall), brokerage, wall


def test_before_the_clock_was_read_nothing_is_known():
    hours, _, _ = reader()
    assert hours.is_open(["SPY"]) is None
    assert hours.exchange_time is None
    assert hours.market(["SPY"]) == wire.Market(is_open=None, next_open=None, next_close=None)


@pytest.mark.parametrize(("clock", "is_open"), [(OPEN, True), (SHUT, False)])
def test_the_market_is_as_the_clock_says(clock, is_open):
    hours, brokerage, _ = reader()
    brokerage.hours = clock
    run(hours.read_clock())
    assert hours.is_open(["AAPL"]) is is_open
    assert hours.market(["AAPL"]) == wire.Market(
        is_open=is_open, next_open=clock.next_open, next_close=clock.next_close
    )


def test_the_time_at_the_exchange_is_ours_with_the_offset_that_was_read():
    hours, brokerage, wall = reader()
    brokerage.hours = msgspec.structs.replace(OPEN, offset=dt.timedelta(minutes=-3))
    run(hours.read_clock())
    wall.at += dt.timedelta(minutes=10)
    assert hours.exchange_time == STARTED_AT + dt.timedelta(minutes=7)


def test_the_calendar_is_read_once_a_day():
    hours, brokerage, wall = reader()
    for _ in range(3):
        run(hours.read_calendar())
    assert len(brokerage.times("trading_day")) == 1
    wall.at += dt.timedelta(days=1)
    run(hours.read_calendar())
    assert len(brokerage.times("trading_day")) == 2


def test_a_calendar_that_could_not_be_read_is_asked_for_again():
    hours, brokerage, _ = reader()
    brokerage.failures["trading_day"] = OUTAGE
    with pytest.raises(RestFault):
        run(hours.read_calendar())
    brokerage.failures.clear()
    run(hours.read_calendar())
    assert len(brokerage.times("trading_day")) == 2


def test_late_products_trade_after_the_close_once_the_calendar_tells_when_that_was():
    hours, brokerage, wall = reader()
    close_at = OPEN.next_close
    brokerage.session = Hours(open_at=close_at - dt.timedelta(hours=6.5), close_at=close_at)
    run(hours.read_clock())
    wall.at = close_at + dt.timedelta(minutes=10)
    assert hours.is_open(["SPY"]) is False
    run(hours.read_calendar())
    assert hours.is_open(["SPY"]) is True
    assert hours.is_open(["AAPL"]) is False
