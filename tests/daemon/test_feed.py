import asyncio
import datetime as dt

import msgspec
import pytest

from condord.core.calendar import Calendar
from condord.core.filled_orders import Order
from condord.core.lots import Lot
from condord.core.occ import parse
from condord.daemon.feed import Feed, wake
from condord.daemon.grouper import Grouper
from condord.live.minutes import Extremes, HoldingPeriod, RecordedPast
from condord.live.published import EVERYTHING
from condord.live.wire import NoticeJson
from tests.core.strategies import lot_leg
from tests.http.fake_daemon import LEGS, NOW_AT, FakeDaemon, held, tick

LEG = next(iter(LEGS))


class Timer:
    def __init__(self, when, callback):
        self._when, self.callback, self.is_cancelled = when, callback, False

    def when(self):
        return self._when

    def cancel(self):
        self.is_cancelled = True


class Loop:
    """The two methods of an event loop that the feed uses, with a clock that `advance` moves."""

    def __init__(self):
        self.now = 100.0
        self.timers = []

    def time(self):
        return self.now

    def call_at(self, when, callback):
        self.timers.append(Timer(when, callback))
        return self.timers[-1]

    def advance(self, seconds):
        self.now += seconds
        due = [timer for timer in self.timers if timer.when() <= self.now and not timer.is_cancelled]
        self.timers = [timer for timer in self.timers if timer not in due and not timer.is_cancelled]
        for timer in due:
            timer.callback()


class FakePast:
    """The recorder and the trade book, as far as the feed uses them."""

    def __init__(self):
        self.recorder = self.trade_book = self
        self.calls = []
        self.noticed = []

    def notices(self):
        return self.noticed

    def __getattr__(self, name):
        return lambda *arguments: self.calls.append((name, *arguments))


class FakeAlertService:
    """The alerts, as far as the feed uses them; `noticed` are their notices."""

    def __init__(self):
        self.calls = []
        self.noticed = []

    def notices(self):
        return self.noticed

    def __getattr__(self, name):
        return lambda *arguments: self.calls.append((name, *arguments))


class Harness:
    def __init__(self, interval_seconds=0.0):
        self.past = FakePast()
        self.alerts = FakeAlertService()
        self.daemon = FakeDaemon()
        self.loop = Loop()
        self.measured = []
        self.grouper = Grouper()
        self.feed = Feed(
            self.daemon.publisher,
            loop=self.loop,
            now_at=lambda: NOW_AT,
            work=self.grouper.run,
            past=self.past,
            alerts=self.alerts,
            observe=self.measured.append,
        )
        self.woken = 0
        self.subscriber = self.daemon.subscribe(EVERYTHING, interval_seconds, None, "identity", self._wake)
        self.subscriber.take(lambda: NOW_AT)

    def _wake(self):
        self.woken += 1

    @property
    def bid(self):
        return next(quote.bid for quote in self.daemon.document().quotes if quote.symbol == LEG)


def test_the_first_quote_after_a_quiet_time_is_published_in_the_same_turn():
    harness = Harness()
    harness.feed.offer([tick(LEG, 1.0, 1.2)])
    assert harness.bid == 1
    assert harness.woken == 1


def test_later_quotes_wait_for_the_window_and_the_last_one_counts():
    harness = Harness()
    for bid in (1.0, 1.1, 1.2):
        harness.feed.offer([tick(LEG, bid, 1.5)])
    assert harness.bid == 1
    harness.loop.advance(0.25)
    assert harness.bid == 1.2
    assert harness.woken == 2


def test_while_writing_takes_longer_than_a_window_all_quotes_since_leave_together():
    harness = Harness()

    def write_slowly():
        harness.loop.now += 0.4
        harness.woken += 1
        harness.subscriber.take(lambda: NOW_AT)

    harness.subscriber.wake = write_slowly
    harness.feed.offer([tick(LEG, 1.0, 1.2)])
    assert harness.woken == 1
    for second in range(1, 4):
        harness.feed.offer([tick(LEG, 1.0 + second, 1.2 + second, second)])
    assert harness.woken == 1
    harness.loop.advance(0.0)
    assert (harness.woken, harness.bid) == (2, 4)


def test_a_burst_arms_one_timer():
    harness = Harness()
    for number in range(100):
        harness.feed.offer([tick(LEG, 1 + number / 100, 3.0)])
    assert sum(not timer.is_cancelled for timer in harness.loop.timers) == 1


def test_a_slow_subscriber_is_served_at_its_own_deadline():
    harness = Harness(interval_seconds=2.0)
    harness.feed.offer([tick(LEG, 1.0, 1.5)])
    assert harness.woken == 1
    harness.loop.advance(0.25)
    harness.feed.offer([tick(LEG, 1.1, 1.5)])
    harness.loop.advance(0.25)
    assert (harness.bid, harness.woken) == (1.1, 1)
    harness.loop.advance(1.5)
    assert harness.woken == 2


def test_a_quote_that_is_due_earlier_than_a_slow_subscribers_deadline_moves_the_timer():
    harness = Harness(interval_seconds=5.0)
    harness.feed.offer([tick(LEG, 1.0, 1.5)])
    harness.loop.advance(0.25)
    harness.feed.offer([tick(LEG, 1.1, 1.5)])
    harness.feed.offer([tick(LEG, 1.2, 1.5)])
    harness.loop.advance(0.25)
    assert harness.bid == 1.2


def test_positions_reach_subscribers_at_once():
    harness = Harness()
    harness.feed.set_positions([held(LEG, 3)])
    assert harness.woken == 1
    assert harness.feed.symbols == (LEG,)


def test_lots_reach_the_document_with_the_positions():
    harness = Harness()
    legs = tuple(lot_leg(parse(symbol), quantity, 20_000) for symbol, quantity in LEGS.items())
    opened = Lot(id="order", since_at=NOW_AT, opened_at=NOW_AT, quantity=1, legs=legs)
    harness.feed.set_positions([held(symbol, quantity) for symbol, quantity in LEGS.items()], [opened])
    assert [condor.entry_source for condor in harness.daemon.document().condors] == ["orders"]
    assert harness.woken == 1


def test_a_lapsed_quote_is_shown_as_unconfirmed():
    harness = Harness()
    harness.feed.offer([tick(LEG, 1.0, 1.2)])
    harness.loop.advance(1.0)
    harness.feed.lapse([LEG])
    harness.loop.advance(1.0)
    assert [quote.unconfirmed for quote in harness.daemon.document().quotes if quote.symbol == LEG] == [True]


def test_quotes_of_expected_contracts_are_accepted():
    harness = Harness()
    harness.feed.expect([LEG, "SPY261218P00100000"])
    assert "SPY261218P00100000" in harness.feed.symbols
    harness.feed.offer([tick("SPY261218P00100000", 1.0, 1.2)])
    harness.loop.advance(1.0)
    assert harness.daemon.publisher.prices.refused == {}


def test_a_gap_marks_every_quote_until_rest_confirms_it():
    harness = Harness()
    harness.feed.offer([tick(LEG, 1.0, 1.2)])
    harness.loop.advance(1)
    harness.feed.gap()
    assert [quote.unconfirmed for quote in harness.daemon.document().quotes if quote.symbol == LEG] == [True]
    harness.loop.advance(1)
    harness.feed.confirm([tick(LEG, 1.0, 1.2)], harness.feed.generation)
    assert [quote.unconfirmed for quote in harness.daemon.document().quotes if quote.symbol == LEG] == [False]


def test_a_quote_requested_from_rest_before_a_gap_confirms_nothing_after_it():
    harness = Harness()
    harness.feed.offer([tick(LEG, 1.0, 1.2)])
    harness.loop.advance(1)
    generation = harness.feed.generation
    harness.feed.gap()
    harness.loop.advance(1)
    harness.feed.confirm([tick(LEG, 1.0, 1.2)], generation)
    assert [quote.unconfirmed for quote in harness.daemon.document().quotes if quote.symbol == LEG] == [True]


def test_a_contract_is_silent_five_seconds_after_rest_returned_a_quote_that_the_stream_did_not_send():
    harness = Harness()
    harness.feed.offer([tick(LEG, 1.0, 1.2)])
    harness.loop.advance(1)
    harness.feed.confirm([tick(LEG, 1.0, 1.2, second=1)], harness.feed.generation)
    assert harness.feed.silent == frozenset()
    harness.loop.advance(5)
    assert harness.feed.silent == {LEG}
    harness.feed.offer([tick(LEG, 1.0, 1.2, second=6)])
    assert harness.feed.silent == frozenset()


def test_a_quote_far_ahead_of_the_exchanges_clock_is_not_shown_and_makes_the_clock_doubtful():
    harness = Harness()
    harness.feed.set_exchange_time(NOW_AT)
    harness.feed.offer([tick(LEG, 1.0, 1.2, second=1)])
    harness.loop.advance(1)
    harness.feed.offer([tick(LEG, 2.0, 2.2, second=300)])
    assert harness.bid == 1
    assert (harness.feed.doubts_clock(), harness.feed.doubts_clock()) == (True, False)


def test_the_stream_has_missed_a_quote_only_if_rest_has_a_newer_one_of_a_held_contract():
    harness = Harness()
    harness.feed.offer([tick(LEG, 1.0, 1.2, second=5)])
    assert not harness.feed.has_missed([tick(LEG, 2.0, 2.2, second=5)])
    assert harness.feed.has_missed([tick(LEG, 2.0, 2.2, second=6)])
    assert not harness.feed.has_missed([tick("SPY261218P00100000", 2.0, 2.2, second=6)])


def test_a_status_that_differs_only_in_its_instants_wakes_no_subscriber():
    harness = Harness()
    status = harness.daemon.edition.status
    changes = {name: getattr(status, name) for name in status.__struct_fields__}
    read = {name: getattr(status.positions, name) for name in status.positions.__struct_fields__}
    for second in (1, 2):
        moved = type(status.positions)(**{**read, "read_at": NOW_AT + dt.timedelta(seconds=second)})
        harness.feed.set_status(type(status)(**{**changes, "positions": moved}))
    assert harness.woken == 1  # by the first reading of all
    assert harness.daemon.document().status.positions.read_at == NOW_AT + dt.timedelta(seconds=2)
    harness.feed.set_status(type(status)(**{**changes, "positions": moved, "state": "live"}))
    assert harness.woken == 2


def test_each_given_subscriber_is_woken():
    harness = Harness()
    wake([harness.subscriber, harness.subscriber])
    assert harness.woken == 2


def test_a_frame_is_measured_from_its_oldest_quote_to_the_end_of_writing_it():
    harness = Harness()
    harness.subscriber.wake = lambda: harness.loop.advance(0.5)
    harness.feed.offer([tick(LEG, 1.0, 1.2)])
    assert harness.measured == [0.5]
    harness.subscriber.wake = harness._wake
    harness.feed.offer([tick(LEG, 2.0, 2.2, 1)])
    harness.loop.now += 0.1
    harness.feed.offer([tick(LEG, 3.0, 3.2, 2)])
    harness.loop.advance(0.2)
    assert harness.measured == [0.5, pytest.approx(0.3)]


def test_a_frame_without_subscribers_is_not_measured():
    harness = Harness()
    harness.daemon.unsubscribe(harness.subscriber)
    harness.feed.offer([tick(LEG, 1.0, 1.2)])
    assert (harness.bid, harness.measured) == (1, [])


def test_a_frame_of_quotes_from_rest_is_not_measured():
    harness = Harness()
    harness.feed.confirm([tick(LEG, 1.0, 1.2)], harness.feed.generation)
    assert (harness.woken, harness.measured) == (1, [])


def test_a_feed_works_without_metrics():
    harness = Harness()
    feed = Feed(
        harness.daemon.publisher,
        loop=harness.loop,
        now_at=lambda: NOW_AT,
        work=harness.grouper.run,
        past=harness.past,
        alerts=harness.alerts,
    )
    feed.offer([tick(LEG, 1.0, 1.2)])
    assert (harness.bid, harness.woken) == (1, 1)


def test_a_grouping_made_beforehand_is_set_without_a_search(monkeypatch):
    harness = Harness()
    opened = [held(symbol, quantity) for symbol, quantity in LEGS.items()]
    asyncio.run(harness.feed.regroup(opened[:3], ()))
    monkeypatch.setattr("condord.live.account.group", None)
    harness.feed.set_positions(reversed(opened[:3]))
    assert len(harness.daemon.document().unmatched) == 3


def test_the_recorder_and_the_trade_book_get_the_account_of_the_positions():
    harness = Harness()
    positions, orders = [held(LEG, 3)], (Order(id="an order", filled_at=NOW_AT, fills=()),)
    harness.feed.set_positions(iter(positions), orders=orders)
    assert harness.past.calls == [("show",), ("set_account", tuple(positions), orders)]
    assert harness.past.calls[1][2] is orders  # the same object, so the trade book knows that there are no new ones


def test_contracts_that_left_without_a_fill_await_a_booking():
    harness = Harness()
    harness.feed.set_positions([held(LEG, 3)])
    before = harness.feed.awaited_bookings
    harness.feed.set_positions([held(LEG, 2)])
    (key,) = harness.feed.awaited_bookings - before
    assert key.startswith(LEG)


def test_another_key_pauses_the_recorder_and_empties_the_trade_book():
    harness = Harness()
    harness.feed.forget_names()
    assert harness.past.calls == [("pause",), ("forget",)]


def test_another_key_forgets_the_extremes():
    harness = Harness()
    positions = [held(symbol, quantity) for symbol, quantity in LEGS.items()]
    harness.feed.set_positions(positions)
    (condor,) = harness.daemon.document().condors
    recorded = {HoldingPeriod(condor_id=condor.id, opened_at=None): Extremes(worst=-500, best=100)}
    harness.daemon.publisher.book.recall_past(RecordedPast(extremes=recorded))
    seen = []
    for forget in (lambda: None, harness.feed.forget_names):
        forget()
        harness.feed.set_positions(positions)
        harness.feed.offer([tick(LEG, 1.0, 1.2, len(seen))])
        harness.loop.advance(1.0)
        seen.append(harness.daemon.document().condors[0].valuation.worst_pl)
    assert seen == [-5, None]


def test_the_trade_book_gets_the_calendar():
    harness = Harness()
    harness.feed.set_calendar(Calendar())
    assert harness.past.calls == [("set_calendar", Calendar())]


def test_the_alerts_are_notified_of_the_account_of_its_orders_and_of_another_key():
    harness = Harness()
    harness.feed.note_account("an account")
    harness.feed.note_orders()
    harness.feed.forget_names()
    assert harness.alerts.calls == [("note_account", "an account"), ("note_orders",), ("forget",)]


def test_notices_of_both_databases_are_added_to_the_status():
    harness = Harness()
    codes = ("historyUnavailable", "alertsNotStored")
    for part, code in zip((harness.past, harness.alerts), codes, strict=True):
        part.noticed = [NoticeJson(code=code, text="the disk is full", symbols=[], since=NOW_AT)]
    harness.feed.set_status(harness.daemon.edition.status)
    assert [notice.code for notice in harness.daemon.document().status.notices] == [*codes]


def test_a_notice_of_the_database_is_added_to_the_status():
    harness = Harness()
    status = harness.daemon.edition.status
    first = NoticeJson(code="stateUnavailable", text="the disk is full", symbols=[], since=NOW_AT)
    harness.past.noticed = [NoticeJson(code="historyUnavailable", text="so it is", symbols=[], since=NOW_AT)]
    harness.feed.set_status(msgspec.structs.replace(status, notices=[first]))
    assert harness.daemon.document().status.notices == [first, *harness.past.noticed]
    harness.past.noticed = []
    harness.feed.set_status(status)
    assert harness.daemon.document().status.notices == []
