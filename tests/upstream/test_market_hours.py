import datetime as dt

import msgspec
import pytest

from condord.core.calendar import Calendar
from condord.core.expiry import Expiry
from condord.core.market_hours import LATE, Hours
from condord.live import wire
from condord.live.exchange_clock import ExchangeClock
from condord.upstream.market_hours import HoursReader
from condord.upstream.rest_fault import RestFault
from tests.fakes.alpaca import OPEN, OUTAGE, SHUT, STARTED_AT, FakeBrokerage
from tests.virtualtime import run

SPY, AAPL = (Expiry(root, root, dt.date(2026, 12, 18)) for root in ("SPY", "AAPL"))


class WallClock:
    """A wall clock that a test sets."""

    def __init__(self):
        self.at = STARTED_AT

    def __call__(self):
        return self.at


def reader():
    wall, brokerage = WallClock(), FakeBrokerage()
    return HoursReader(brokerage=brokerage, clock=ExchangeClock(wall)), brokerage, wall


def test_the_hours_are_unknown_until_the_clock_has_been_read():
    hours, _, _ = reader()
    assert hours.is_open([SPY]) is None
    assert hours.exchange_time is None
    assert hours.market([SPY]) == wire.MarketJson(is_open=None, next_open=None, next_close=None)


@pytest.mark.parametrize(("clock", "is_open"), [(OPEN, True), (SHUT, False)])
@pytest.mark.parametrize("expiry", [SPY, AAPL])
def test_the_clock_decides_whether_the_market_is_open_and_late_products_close_later(clock, is_open, expiry):
    hours, brokerage, _ = reader()
    brokerage.hours = clock
    run(hours.read_clock())
    assert hours.is_open([expiry]) is is_open
    next_close = clock.next_close + LATE if expiry is SPY else clock.next_close
    assert hours.market([expiry]) == wire.MarketJson(is_open=is_open, next_open=clock.next_open, next_close=next_close)


def test_the_exchange_time_is_the_local_time_plus_the_offset_of_the_clock():
    hours, brokerage, wall = reader()
    brokerage.hours = msgspec.structs.replace(OPEN, offset=dt.timedelta(minutes=-3))
    run(hours.read_clock())
    wall.at += dt.timedelta(minutes=10)
    assert hours.exchange_time == STARTED_AT + dt.timedelta(minutes=7)


@pytest.mark.parametrize(("seconds", "passed"), [(10, 10), (0.3, 0.3), (-3600, -3600)])
def test_an_answer_that_was_long_in_coming_does_not_set_the_time_back(seconds, passed):
    hours, brokerage, wall = reader()
    run(hours.read_clock())
    before, real = hours.exchange_time, brokerage.clock

    async def clock():
        sent = await real()
        wall.at += dt.timedelta(seconds=seconds)  # as if the process were suspended, or its clock set back
        return msgspec.structs.replace(sent, offset=-dt.timedelta(seconds=seconds))

    brokerage.clock = clock
    run(hours.read_clock())
    assert hours.exchange_time - before == dt.timedelta(seconds=max(passed, 0))


@pytest.mark.parametrize("offset", [dt.timedelta(hours=10), dt.timedelta(minutes=5), -dt.timedelta(hours=10)])
def test_the_market_opens_and_closes_by_the_exchange_on_a_machine_whose_clock_is_wrong(offset):
    hours, brokerage, wall = reader()
    for clock, edge_at, opens in ((OPEN, OPEN.next_close, False), (SHUT, SHUT.next_open, True)):
        brokerage.hours = msgspec.structs.replace(clock, offset=offset)
        run(hours.read_clock())
        wall.at = edge_at - offset - dt.timedelta(seconds=1)
        assert hours.is_open([AAPL]) is not opens
        wall.at = edge_at - offset
        assert hours.is_open([AAPL]) is opens


def test_the_calendar_is_read_once_per_day_of_the_exchange():
    hours, brokerage, wall = reader()
    brokerage.hours = msgspec.structs.replace(OPEN, offset=dt.timedelta(days=3))
    run(hours.read_clock())
    for _ in range(3):
        run(hours.read_calendar())
    [(_, _, (start, end))] = [asked for asked in brokerage.asked if asked[0] == "calendar"]
    assert start <= dt.date(2026, 11, 23) - dt.timedelta(days=10)
    assert end >= dt.date(2027, 11, 23)
    wall.at += dt.timedelta(days=1)
    run(hours.read_calendar())
    assert len(brokerage.times("calendar")) == 2


def test_the_calendar_is_requested_again_after_a_fault():
    hours, brokerage, _ = reader()
    brokerage.failures["calendar"] = OUTAGE
    with pytest.raises(RestFault):
        run(hours.read_calendar())
    brokerage.failures.clear()
    run(hours.read_calendar())
    assert len(brokerage.times("calendar")) == 2


def test_late_products_trade_after_the_close_once_the_calendar_is_known():
    hours, brokerage, wall = reader()
    close_at = OPEN.next_close
    today = Hours(open_at=close_at - dt.timedelta(hours=6.5), close_at=close_at)
    brokerage.sessions = Calendar({STARTED_AT.date(): today})
    brokerage.hours = SHUT
    run(hours.read_clock())
    wall.at = close_at + dt.timedelta(minutes=10)
    assert hours.is_open([SPY]) is False
    run(hours.read_calendar())
    assert hours.is_open([SPY]) is True
    assert hours.is_open([AAPL]) is False


def test_an_expiring_contract_stops_trading_earlier_once_the_calendar_is_known():
    hours, brokerage, _ = reader()
    early_at = OPEN.next_close - dt.timedelta(hours=3)
    brokerage.sessions = Calendar(
        {STARTED_AT.date(): Hours(open_at=early_at - dt.timedelta(hours=3.5), close_at=early_at)}
    )
    run(hours.read_clock())
    expiring = [Expiry("AAPL", "AAPL", STARTED_AT.date())]
    assert hours.market(expiring).next_close == OPEN.next_close
    run(hours.read_calendar())
    assert hours.market(expiring).next_close == early_at
