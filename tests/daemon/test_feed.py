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
from condord.live.minutes import Extremes, Holding, RecordedPast
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
        return lambda *given: self.calls.append((name, *given))


class FakeAlertService:
    """The alerts, as far as the feed uses them; `noticed` are their notices."""

    def __init__(self):
        self.calls = []
        self.noticed = []

    def notices(self):
        return self.noticed

    def __getattr__(self, name):
        return lambda *given: self.calls.append((name, *given))


class Scene:
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
    scene = Scene()
    scene.feed.offer([tick(LEG, 1.0, 1.2)])
    assert scene.bid == 1
    assert scene.woken == 1


def test_later_quotes_wait_for_the_window_and_the_last_one_counts():
    scene = Scene()
    for bid in (1.0, 1.1, 1.2):
        scene.feed.offer([tick(LEG, bid, 1.5)])
    assert scene.bid == 1
    scene.loop.advance(0.25)
    assert scene.bid == 1.2
    assert scene.woken == 2


def test_while_writing_takes_longer_than_a_window_all_quotes_since_leave_together():
    scene = Scene()

    def write_slowly():
        scene.loop.now += 0.4
        scene.woken += 1
        scene.subscriber.take(lambda: NOW_AT)

    scene.subscriber.wake = write_slowly
    scene.feed.offer([tick(LEG, 1.0, 1.2)])
    assert scene.woken == 1
    for second in range(1, 4):
        scene.feed.offer([tick(LEG, 1.0 + second, 1.2 + second, second)])
    assert scene.woken == 1
    scene.loop.advance(0.0)
    assert (scene.woken, scene.bid) == (2, 4)


def test_a_burst_arms_one_timer():
    scene = Scene()
    for number in range(100):
        scene.feed.offer([tick(LEG, 1 + number / 100, 3.0)])
    assert sum(not timer.is_cancelled for timer in scene.loop.timers) == 1


def test_a_slow_subscriber_is_served_at_its_own_deadline():
    scene = Scene(interval_seconds=2.0)
    scene.feed.offer([tick(LEG, 1.0, 1.5)])
    assert scene.woken == 1
    scene.loop.advance(0.25)
    scene.feed.offer([tick(LEG, 1.1, 1.5)])
    scene.loop.advance(0.25)
    assert (scene.bid, scene.woken) == (1.1, 1)
    scene.loop.advance(1.5)
    assert scene.woken == 2


def test_a_quote_that_is_due_earlier_than_a_slow_subscribers_deadline_moves_the_timer():
    scene = Scene(interval_seconds=5.0)
    scene.feed.offer([tick(LEG, 1.0, 1.5)])
    scene.loop.advance(0.25)
    scene.feed.offer([tick(LEG, 1.1, 1.5)])
    scene.feed.offer([tick(LEG, 1.2, 1.5)])
    scene.loop.advance(0.25)
    assert scene.bid == 1.2


def test_positions_reach_subscribers_at_once():
    scene = Scene()
    scene.feed.set_positions([held(LEG, 3)])
    assert scene.woken == 1
    assert scene.feed.symbols == (LEG,)


def test_lots_reach_the_document_with_the_positions():
    scene = Scene()
    legs = tuple(lot_leg(parse(symbol), quantity, 20_000) for symbol, quantity in LEGS.items())
    opened = Lot(id="order", since_at=NOW_AT, opened_at=NOW_AT, quantity=1, legs=legs)
    scene.feed.set_positions([held(symbol, quantity) for symbol, quantity in LEGS.items()], [opened])
    assert [condor.entry_source for condor in scene.daemon.document().condors] == ["orders"]
    assert scene.woken == 1


def test_a_lapsed_quote_is_shown_as_unconfirmed():
    scene = Scene()
    scene.feed.offer([tick(LEG, 1.0, 1.2)])
    scene.loop.advance(1.0)
    scene.feed.lapse([LEG])
    scene.loop.advance(1.0)
    assert [quote.unconfirmed for quote in scene.daemon.document().quotes if quote.symbol == LEG] == [True]


def test_quotes_of_expected_contracts_are_accepted():
    scene = Scene()
    scene.feed.expect([LEG, "SPY261218P00100000"])
    assert "SPY261218P00100000" in scene.feed.symbols
    scene.feed.offer([tick("SPY261218P00100000", 1.0, 1.2)])
    scene.loop.advance(1.0)
    assert scene.daemon.publisher.prices.refused == {}


def test_a_gap_marks_every_quote_until_rest_confirms_it():
    scene = Scene()
    scene.feed.offer([tick(LEG, 1.0, 1.2)])
    scene.loop.advance(1)
    scene.feed.gap()
    assert [quote.unconfirmed for quote in scene.daemon.document().quotes if quote.symbol == LEG] == [True]
    scene.loop.advance(1)
    scene.feed.confirm([tick(LEG, 1.0, 1.2)], scene.feed.era)
    assert [quote.unconfirmed for quote in scene.daemon.document().quotes if quote.symbol == LEG] == [False]


def test_a_quote_requested_from_rest_before_a_gap_confirms_nothing_after_it():
    scene = Scene()
    scene.feed.offer([tick(LEG, 1.0, 1.2)])
    scene.loop.advance(1)
    era = scene.feed.era
    scene.feed.gap()
    scene.loop.advance(1)
    scene.feed.confirm([tick(LEG, 1.0, 1.2)], era)
    assert [quote.unconfirmed for quote in scene.daemon.document().quotes if quote.symbol == LEG] == [True]


def test_a_contract_is_silent_five_seconds_after_rest_returned_a_quote_that_the_stream_did_not_send():
    scene = Scene()
    scene.feed.offer([tick(LEG, 1.0, 1.2)])
    scene.loop.advance(1)
    scene.feed.confirm([tick(LEG, 1.0, 1.2, second=1)], scene.feed.era)
    assert scene.feed.silent == frozenset()
    scene.loop.advance(5)
    assert scene.feed.silent == {LEG}
    scene.feed.offer([tick(LEG, 1.0, 1.2, second=6)])
    assert scene.feed.silent == frozenset()


def test_a_quote_far_ahead_of_the_exchanges_clock_is_not_shown_and_makes_the_clock_doubtful():
    scene = Scene()
    scene.feed.set_exchange_time(NOW_AT)
    scene.feed.offer([tick(LEG, 1.0, 1.2, second=1)])
    scene.loop.advance(1)
    scene.feed.offer([tick(LEG, 2.0, 2.2, second=300)])
    assert scene.bid == 1
    assert (scene.feed.doubts_clock(), scene.feed.doubts_clock()) == (True, False)


def test_the_stream_has_missed_a_quote_only_if_rest_has_a_newer_one_of_a_held_contract():
    scene = Scene()
    scene.feed.offer([tick(LEG, 1.0, 1.2, second=5)])
    assert not scene.feed.has_missed([tick(LEG, 2.0, 2.2, second=5)])
    assert scene.feed.has_missed([tick(LEG, 2.0, 2.2, second=6)])
    assert not scene.feed.has_missed([tick("SPY261218P00100000", 2.0, 2.2, second=6)])


def test_a_status_that_differs_only_in_its_instants_wakes_no_subscriber():
    scene = Scene()
    status = scene.daemon.edition.status
    changes = {name: getattr(status, name) for name in status.__struct_fields__}
    read = {name: getattr(status.positions, name) for name in status.positions.__struct_fields__}
    for second in (1, 2):
        moved = type(status.positions)(**{**read, "read_at": NOW_AT + dt.timedelta(seconds=second)})
        scene.feed.set_status(type(status)(**{**changes, "positions": moved}))
    assert scene.woken == 1  # by the first reading of all
    assert scene.daemon.document().status.positions.read_at == NOW_AT + dt.timedelta(seconds=2)
    scene.feed.set_status(type(status)(**{**changes, "positions": moved, "state": "live"}))
    assert scene.woken == 2


def test_each_given_subscriber_is_woken():
    scene = Scene()
    wake([scene.subscriber, scene.subscriber])
    assert scene.woken == 2


def test_a_frame_is_measured_from_its_oldest_quote_to_the_end_of_writing_it():
    scene = Scene()
    scene.subscriber.wake = lambda: scene.loop.advance(0.5)
    scene.feed.offer([tick(LEG, 1.0, 1.2)])
    assert scene.measured == [0.5]
    scene.subscriber.wake = scene._wake
    scene.feed.offer([tick(LEG, 2.0, 2.2, 1)])
    scene.loop.now += 0.1
    scene.feed.offer([tick(LEG, 3.0, 3.2, 2)])
    scene.loop.advance(0.2)
    assert scene.measured == [0.5, pytest.approx(0.3)]


def test_a_frame_without_subscribers_is_not_measured():
    scene = Scene()
    scene.daemon.unsubscribe(scene.subscriber)
    scene.feed.offer([tick(LEG, 1.0, 1.2)])
    assert (scene.bid, scene.measured) == (1, [])


def test_a_frame_of_quotes_from_rest_is_not_measured():
    scene = Scene()
    scene.feed.confirm([tick(LEG, 1.0, 1.2)], scene.feed.era)
    assert (scene.woken, scene.measured) == (1, [])


def test_a_feed_works_without_metrics():
    scene = Scene()
    feed = Feed(
        scene.daemon.publisher,
        loop=scene.loop,
        now_at=lambda: NOW_AT,
        work=scene.grouper.run,
        past=scene.past,
        alerts=scene.alerts,
    )
    feed.offer([tick(LEG, 1.0, 1.2)])
    assert (scene.bid, scene.woken) == (1, 1)


def test_a_grouping_made_beforehand_is_set_without_a_search(monkeypatch):
    scene = Scene()
    opened = [held(symbol, quantity) for symbol, quantity in LEGS.items()]
    asyncio.run(scene.feed.regroup(opened[:3], ()))
    monkeypatch.setattr("condord.live.account.group", None)
    scene.feed.set_positions(reversed(opened[:3]))
    assert len(scene.daemon.document().unmatched) == 3


def test_the_recorder_and_the_trade_book_get_the_account_of_the_positions():
    scene = Scene()
    positions, orders = [held(LEG, 3)], (Order(id="an order", filled_at=NOW_AT, fills=()),)
    scene.feed.set_positions(iter(positions), orders=orders)
    assert scene.past.calls == [("show",), ("set_account", tuple(positions), orders)]
    assert scene.past.calls[1][2] is orders  # the same object, so the trade book knows that there are no new ones


def test_contracts_that_left_without_a_fill_await_a_booking():
    scene = Scene()
    scene.feed.set_positions([held(LEG, 3)])
    before = scene.feed.awaited_bookings
    scene.feed.set_positions([held(LEG, 2)])
    (key,) = scene.feed.awaited_bookings - before
    assert key.startswith(LEG)


def test_another_key_pauses_the_recorder_and_empties_the_trade_book():
    scene = Scene()
    scene.feed.forget_names()
    assert scene.past.calls == [("pause",), ("forget",)]


def test_another_key_forgets_the_extremes():
    scene = Scene()
    positions = [held(symbol, quantity) for symbol, quantity in LEGS.items()]
    scene.feed.set_positions(positions)
    (condor,) = scene.daemon.document().condors
    recorded = {Holding(condor_id=condor.id, opened_at=None): Extremes(worst=-500, best=100)}
    scene.daemon.publisher.book.recall_past(RecordedPast(extremes=recorded))
    seen = []
    for forget in (lambda: None, scene.feed.forget_names):
        forget()
        scene.feed.set_positions(positions)
        scene.feed.offer([tick(LEG, 1.0, 1.2, len(seen))])
        scene.loop.advance(1.0)
        seen.append(scene.daemon.document().condors[0].valuation.worst_pl)
    assert seen == [-5, None]


def test_the_trade_book_gets_the_sessions():
    scene = Scene()
    scene.feed.set_calendar(Calendar())
    assert scene.past.calls == [("set_calendar", Calendar())]


def test_the_alerts_are_notified_of_the_account_of_its_orders_and_of_another_key():
    scene = Scene()
    scene.feed.note_account("an account")
    scene.feed.note_orders()
    scene.feed.forget_names()
    assert scene.alerts.calls == [("note_account", "an account"), ("note_orders",), ("forget",)]


def test_notices_of_both_databases_join_those_of_the_status():
    scene = Scene()
    codes = ("historyUnavailable", "alertsNotStored")
    for part, code in zip((scene.past, scene.alerts), codes, strict=True):
        part.noticed = [NoticeJson(code=code, text="the disk is full", symbols=[], since=NOW_AT)]
    scene.feed.set_status(scene.daemon.edition.status)
    assert [notice.code for notice in scene.daemon.document().status.notices] == [*codes]


def test_a_notice_of_the_database_joins_those_of_the_status():
    scene = Scene()
    status = scene.daemon.edition.status
    first = NoticeJson(code="stateUnavailable", text="the disk is full", symbols=[], since=NOW_AT)
    scene.past.noticed = [NoticeJson(code="historyUnavailable", text="so it is", symbols=[], since=NOW_AT)]
    scene.feed.set_status(msgspec.structs.replace(status, notices=[first]))
    assert scene.daemon.document().status.notices == [first, *scene.past.noticed]
    scene.past.noticed = []
    scene.feed.set_status(status)
    assert scene.daemon.document().status.notices == []
