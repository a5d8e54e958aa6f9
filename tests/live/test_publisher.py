import datetime as dt
import json
import zlib

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from condord.core import valuation as values
from condord.core.account_summary import AccountSummary
from condord.core.calendar import Calendar
from condord.core.day_pl import ClosingPrices, DayFill
from condord.core.grouping.account import group
from condord.core.market_hours import hours_of
from condord.core.model.black_scholes import MarketConditions
from condord.core.model.black_scholes import price as model_price
from condord.core.occ import parse
from condord.core.quote import Quote
from condord.core.working_order import OrderLeg, WorkingOrder
from condord.live import render, render_alerts, wire
from condord.live.alerts import AlertChanges
from condord.live.minutes import Extremes, HoldingPeriod, RecordedPast
from condord.live.published import EVERYTHING, Selection
from condord.live.wire_condor import HistoryJson
from tests.examples import examples

from .accounts import (
    ACCOUNTS,
    C630,
    C640,
    C650,
    CLOSED,
    DAY,
    EPOCH_AT,
    MAX_TICKS,
    P560,
    P570,
    Q400,
    Q410,
    Q450,
    Q460,
    QQQ_ID,
    REPEATABLE,
    SPY_ID,
    SYMBOLS,
    PublishingService,
    applied,
    events,
    left_pl,
    lot,
    position,
    settled,
    spy,
    status,
    tick,
    ticks,
)
from .clocks import PlainClock, at
from .fake_alerts import FakeAlerts
from .plain_record import PlainRecord, e4

SPY_LEGS = (P560, P570, C630, C640)
QQQ_LEGS = (Q400, Q410, Q450, Q460)


def quoted(service, second=0.0):
    """Quotes for a whole condor: mark 1.20 by the four mids."""
    marks = {P560: 0.90, P570: 1.70, C630: 1.30, C640: 0.90}
    service.offer(*(tick(symbol, mark - 0.05, mark + 0.05, second) for symbol, mark in marks.items()))
    service.wait(10)


def confirm(service, *batch, generation=None):
    """Pass on REST's answer, requested in the current generation unless `generation` is another one."""
    service.publisher.confirm(batch, service.now, service.prices.generation if generation is None else generation)
    return service.turn()


def follow(service, selection=EVERYTHING, **options):
    """A subscriber that has taken its first frames."""
    subscriber = service.subscribe(selection, **options)
    service.take(subscriber)
    return subscriber


def kinds(found):
    return [event for event, _, _ in found]


def valuation(service):
    return service.edition.document(service.now_at).condors[0].valuation


@pytest.fixture
def service():
    service = PublishingService(spy())
    quoted(service)
    return service


def test_before_anything_was_read_the_document_is_empty_and_starting():
    document = PublishingService().edition.document(EPOCH_AT)
    assert document.status.state == "starting"
    assert (document.condors, document.unmatched, document.quotes) == ([], [], [])
    assert document.totals == render.UNREAD_TOTALS


def test_no_other_reading_makes_the_totals_known_before_positions_were_read():
    service = PublishingService()
    service.set_status(status(state="reconnecting", code="unreachable"))
    service.gap()
    service.wait(60.0)
    assert service.edition.document(EPOCH_AT).totals == render.UNREAD_TOTALS
    service.set_positions([])
    assert service.edition.document(EPOCH_AT).totals.unrealized_pl == 0


def test_the_first_change_after_a_quiet_time_leaves_in_the_turn_that_brought_it(service):
    subscriber = follow(service)
    assert service.offer(tick(P560, 2.0, 2.1, 1)) == [subscriber]
    assert kinds(service.take(subscriber)) == ["delta"]


def test_the_next_change_waits_for_the_window(service):
    subscriber = follow(service)
    service.offer(tick(P560, 2.0, 2.1, 1))
    service.take(subscriber)
    service.wait(0.1)
    assert service.offer(tick(P560, 3.0, 3.1, 2)) == []
    service.wait(0.149)
    assert service.take(subscriber) == []
    service.wait(0.002)
    assert kinds(service.take(subscriber)) == ["delta"]


def test_a_burst_is_one_delta_with_the_last_value_of_each_symbol(service):
    subscriber = follow(service)
    service.offer(tick(P560, 2.0, 2.1, 1))
    for number in range(50):
        service.offer(tick(P560, 3.0, 3.1 + number / 10, 2 + number), tick(C640, 1.0, 1.5 + number / 10, 2 + number))
    service.take(subscriber)
    service.wait(0.25)
    [(event, _, data)] = service.take(subscriber)
    assert event == "delta"
    assert {quote["symbol"]: quote["ask"] for quote in data["quotes"]} == {P560: 8.0, C640: 6.4}


def test_a_status_does_not_wait_for_the_window(service):
    subscriber = follow(service)
    service.offer(tick(P560, 2.0, 2.1, 1))
    service.take(subscriber)
    assert service.set_status(status("reconnecting", code="unreachable")) == [subscriber]
    [(event, _, data)] = service.take(subscriber)
    assert (event, data["status"]["state"], data["quotes"]) == ("delta", "reconnecting", [])


def test_the_same_status_is_not_an_event(service):
    service.set_status(status())
    version = service.edition.version
    assert service.set_status(status(read=5, message=6)) == []
    assert service.edition.version == version


def test_the_instants_of_a_status_move_without_an_event(service):
    service.set_status(status())
    service.set_status(status(read=5, message=6))
    shown = service.edition.document(service.now_at).status
    assert shown == status(read=5, message=6)


def test_changed_positions_are_sent_to_all_subscribers_at_once_as_a_snapshot(service):
    fast, slow = follow(service), follow(service, interval=10.0)
    service.offer(tick(P560, 2.0, 2.1, 1))
    service.take(fast)
    assert set(service.set_positions(())) == {fast, slow}
    assert kinds(service.take(fast)) == ["snapshot"]
    assert kinds(service.take(slow)) == ["delta", "snapshot"]


def test_the_same_positions_in_another_order_are_not_an_event(service):
    version = service.edition.version
    assert service.set_positions(reversed(spy())) == []
    assert service.edition.version == version


def test_lots_that_change_a_condor_are_a_snapshot(service):
    subscriber = follow(service)
    service.set_positions(spy(), [lot()])
    [(event, _, data)] = service.take(subscriber)
    assert (event, data["condors"][0]["entrySource"], data["condors"][0]["credit"]) == ("snapshot", "orders", 2.35)
    service.set_positions(spy())
    [(event, _, data)] = service.take(subscriber)
    assert (event, data["condors"][0]["entrySource"], data["condors"][0]["credit"]) == ("snapshot", "structure", 2.35)


def test_lots_that_change_nothing_are_not_an_event(service):
    service.set_positions(spy(), [lot()])
    version = service.edition.version
    assert service.set_positions(spy(), [lot()]) == []
    assert service.set_positions(spy(), [lot(5)]) == []
    assert service.edition.version == version


def test_another_day_at_the_exchange_brings_a_snapshot_with_fewer_days_to_expiration(service):
    subscriber = follow(service)
    service.wait(24 * 3600)
    service.set_positions(spy())
    [(event, _, data)] = service.take(subscriber)
    assert (event, data["condors"][0]["daysToExpiration"]) == ("snapshot", 27)


def test_midnight_in_utc_is_not_a_new_day_at_the_exchange(service):
    version = service.edition.version
    service.wait(9.5 * 3600)
    service.set_positions(spy())
    assert service.edition.version == version


def test_a_snapshot_contains_the_quotes_that_waited(service):
    service.offer(tick(P560, 2.0, 2.1, 1))
    service.offer(tick(P560, 3.0, 3.1, 2))
    service.set_positions(spy(1))
    assert service.quote(P560).mark == 3.05
    version = service.edition.version
    service.wait(1)
    assert service.edition.version == version


def test_a_change_smaller_than_min_change_waits_until_it_adds_up(service):
    service.offer(tick(P560, 0.855, 0.955, 1))
    service.wait(1)
    assert service.quote(P560).mark == 0.9
    service.offer(tick(P560, 0.86, 0.96, 2))
    assert service.quote(P560).mark == 0.91


def test_a_small_change_that_is_reversed_is_never_sent(service):
    version = service.edition.version
    service.offer(tick(P560, 0.855, 0.955, 1))
    service.offer(tick(P560, 0.85, 0.95, 2))
    service.wait(1)
    assert service.edition.version == version


def test_small_changes_of_several_legs_add_up_in_the_condor(service):
    version = service.edition.version
    service.offer(tick(P570, 1.655, 1.755, 1))
    service.wait(1)
    assert service.edition.version == version
    service.offer(tick(C630, 1.255, 1.355, 1))
    assert (service.quote(P570).mark, service.quote(C630).mark) == (1.705, 1.305)
    assert valuation(service).mark == 1.21


def test_small_changes_that_cancel_out_in_the_condor_wait(service):
    version = service.edition.version
    service.offer(tick(P560, 0.855, 0.955, 1), tick(P570, 1.655, 1.755, 1))
    service.wait(1)
    assert service.edition.version == version


def test_small_changes_add_up_in_the_natural_while_the_mark_stands(service):
    service.offer(tick(P570, 1.645, 1.755, 1))
    service.wait(1)
    assert valuation(service).natural == 1.4
    service.offer(tick(C630, 1.245, 1.355, 1))
    assert (valuation(service).mark, valuation(service).natural) == (1.2, 1.41)


def test_a_small_change_keeps_waiting_when_others_are_sent():
    service = PublishingService((*spy(), position(C650, 3, 0.40)))
    quoted(service)
    service.offer(tick(P570, 1.655, 1.755, 1), tick(C650, 0.40, 0.50, 1))
    assert service.quote(P570).mark == 1.7
    service.wait(1)
    service.offer(tick(C630, 1.255, 1.355, 1))
    assert (service.quote(P570).mark, service.quote(C630).mark) == (1.705, 1.305)


def test_a_small_change_that_waits_is_forgotten_with_its_contract(service):
    service.offer(tick(P560, 0.855, 0.955, 1))
    service.set_positions(ACCOUNTS["two condors"][4:])
    service.gap()
    service.wait(1)
    assert [quote.symbol for quote in service.edition.document(service.now_at).quotes] == sorted(QQQ_LEGS)


def test_a_small_change_in_a_condor_without_a_value_waits():
    service = PublishingService(spy())
    service.offer(*(tick(symbol, 1.0, 1.1) for symbol in (P560, P570, C630)))
    service.wait(1)
    version = service.edition.version
    service.offer(tick(P560, 1.005, 1.105, 1))
    service.wait(1)
    assert service.edition.version == version
    assert valuation(service).mark is None


def test_without_a_min_change_every_change_counts():
    service = PublishingService(spy(), min_change_e4=0)
    quoted(service)
    service.offer(tick(P560, 0.8501, 0.9501, 1))
    assert service.quote(P560).bid == 0.8501


def test_another_least_change_and_window_apply_from_the_next_quote_on(service):
    service.publisher.set_stream(window_seconds=2.0, min_change_e4=1_000)
    number = service.edition.number
    service.wait(3)
    service.offer(tick(P560, 0.90, 1.00, 1))
    service.wait(3)
    assert service.edition.number == number  # it has moved by 5 cents
    service.offer(tick(P560, 1.85, 1.95, 2))
    assert service.edition.number == number + 1
    service.offer(tick(P560, 2.85, 2.95, 3))
    service.wait(1.9)
    assert service.edition.number == number + 1
    service.wait(0.2)
    assert service.edition.number == number + 2


def test_a_change_of_only_size_or_instant_waits_for_a_change_that_counts(service):
    version = service.edition.version
    service.offer(tick(P560, 0.85, 0.95, 5, sizes=(1.0, 2.0)))
    service.wait(1)
    assert service.edition.version == version


@pytest.mark.parametrize(
    ("bid", "ask", "state"),
    [
        (0.951, 0.95, "crossed"),
        (0.95, 0.95, "locked"),
        (0.0, 0.45, "zeroBid"),
        (0.0, 0.95, "stub"),
        (0.95, 0.0, "noAsk"),
        (0.85, 9.0, "stub"),
    ],
)
def test_a_change_of_state_counts_even_if_the_price_hardly_moved(bid, ask, state):
    service = PublishingService(spy(), min_change_e4=1_000_000)
    quoted(service)
    service.offer(tick(P560, bid, ask, 1))
    assert service.quote(P560).state == state


@pytest.mark.parametrize(("bid", "ask"), [(3.0, 2.0), (0.1, 4.0), (0.0, 4.8)])
def test_a_crossed_or_stub_quote_with_a_last_good_mark_leaves_its_leg_valued(service, bid, ask):
    service.offer(tick(P560, bid, ask, 1))
    assert service.quote(P560).mark == 0.9
    assert valuation(service).missing == []
    assert valuation(service).mark == 1.2


def test_a_leg_without_a_mark_makes_all_numbers_null_and_is_missing(service):
    service.offer(tick(P560, 0.95, 0.0, 1))
    shown, totals = valuation(service), service.edition.totals
    assert shown.missing == [P560]
    assert (shown.mark, shown.natural, shown.unrealized_pl, shown.natural_pl) == (None, None, None, None)
    assert (totals.unrealized_pl, totals.natural_pl, totals.incomplete) == (None, None, 1)


def test_a_gap_makes_quotes_and_condors_unconfirmed_until_rest_confirms(service):
    service.gap()
    assert service.quote(P560).unconfirmed
    assert valuation(service).unconfirmed
    service.wait(1)
    confirm(service, *(tick(symbol, 0.0, 0.0, 0) for symbol in SPY_LEGS))
    assert not service.quote(P560).unconfirmed
    assert not valuation(service).unconfirmed


def test_a_lapsed_quote_is_unconfirmed_within_a_window(service):
    service.offer(tick(P560, 1.0, 1.2))
    service.wait(1.0)
    service.publisher.lapse([P560], service.now)
    service.wait(1.0)
    [quote] = [quote for quote in service.edition.document(service.now_at).quotes if quote.symbol == P560]
    assert quote.unconfirmed


def test_a_quote_requested_before_a_gap_is_shown_if_newer_and_stays_unconfirmed(service):
    generation = service.prices.generation
    service.gap()
    service.wait(1)
    confirm(service, *(tick(symbol, 2.0, 2.2, 1) for symbol in SPY_LEGS), generation=generation)
    assert (service.quote(P560).mark, service.quote(P560).unconfirmed) == (2.1, True)
    assert valuation(service).unconfirmed


def test_a_quote_from_the_future_is_never_shown(service):
    service.prices.set_exchange_time(at(0))
    version = service.edition.version
    service.offer(tick(P560, 2.0, 2.1, 61))
    service.wait(1)
    assert service.edition.version == version


def test_a_quote_from_the_future_by_the_clock_is_replaced_in_the_document(service):
    service.offer(tick(P560, 2.0, 2.1, 300))
    service.wait(1)
    service.prices.set_exchange_time(at(1))
    service.offer(tick(P560, 3.0, 3.1, 1))
    assert (service.quote(P560).mark, service.quote(P560).time) == (3.05, at(1))


def test_a_quote_that_waits_when_the_stream_is_cut_arrives_unconfirmed(service):
    service.offer(tick(P560, 2.0, 2.1, 1))
    service.offer(tick(P560, 3.0, 3.1, 2))
    service.gap()
    service.wait(1)
    assert (service.quote(P560).mark, service.quote(P560).unconfirmed) == (3.05, True)


def test_a_quiet_contract_becomes_unconfirmed_without_any_quote(service):
    service.set_status(status())
    service.wait(600)
    service.set_status(status())
    assert service.quote(P560).unconfirmed


def test_an_unmatched_contract_is_listed_only_when_it_changed():
    service = PublishingService((position(C650, 3, 0.40),))
    service.offer(tick(C650, 1.0, 2.0, 0))
    subscriber = follow(service)
    service.wait(1)
    service.offer(tick(C650, 1.2, 1.8, 1))
    [(_, _, data)] = service.take(subscriber)
    assert [quote["bid"] for quote in data["quotes"]] == [1.2]
    assert data["unmatched"] == []


def test_totals_that_did_not_change_are_left_out(service):
    subscriber = follow(service)
    service.gap()
    [(_, _, data)] = service.take(subscriber)
    assert data.keys() == {"asOf", "quotes", "valuations", "unmatched"}


def test_a_condor_that_returns_has_none_of_its_old_quotes():
    service = PublishingService(spy())
    quoted(service)
    service.set_positions(())
    service.set_positions(spy())
    assert service.quote(P560).state == "none"
    assert valuation(service).missing == list(SPY_LEGS)


def test_short_legs_of_condors_come_first_among_the_symbols():
    service = PublishingService((*spy(), position(C650, 3, 0.40)))
    assert service.book.symbols == (C630, P570, C640, P560, C650)


def test_a_symbol_that_cannot_be_parsed_is_shown_and_never_requested():
    service = PublishingService(ACCOUNTS["unreadable"])
    assert service.book.symbols == (C630, P570, C640, P560)
    [entry] = service.edition.document(service.now_at).unmatched
    assert (entry.symbol, entry.problem, entry.mark) == ("SPY-NO-OPTION", "no option symbol", None)


def test_the_deadline_is_the_earliest_of_the_window_and_the_views(service):
    service.book.risks.interval_seconds = 60.0
    service.wait(60)
    assert service.publisher.deadline == service.book.risks.deadline
    follow(service, interval=5.0)
    service.offer(tick(P560, 2.0, 2.1, 1))
    service.wait(1)
    service.offer(tick(P560, 3.0, 3.1, 2))
    assert service.publisher.deadline == pytest.approx(service.now + 4)
    service.offer(tick(P560, 4.0, 4.1, 3))
    assert service.publisher.deadline == pytest.approx(service.now + 0.25)
    service.wait(0.25)
    assert service.publisher.deadline == pytest.approx(service.now + 3.75)


def test_the_remaining_legs_of_a_broken_condor_move_with_their_quotes_and_clients_add_them_up():
    service = PublishingService(spy())
    quoted(service)
    one, other = follow(service), follow(service, Selection(condors=frozenset([SPY_ID])))
    service.set_positions(spy()[:3])
    shown = [applied(None, *event) for subscriber in (one, other) for event in service.take(subscriber)]
    assert [document["broken"][0]["unrealizedPl"] for document in shown] == [-62 + 140 + 192] * 2
    assert [entry["symbol"] for entry in shown[1]["unmatched"]] == [C630, P560, P570]
    service.wait(1)
    service.offer(tick(C630, 1.05, 1.15, 1))
    for subscriber, document in zip((one, other), shown, strict=True):
        [(event, identity, data)] = service.take(subscriber)
        assert event == "delta"
        assert "broken" not in data
        after = applied(document, event, identity, data)
        assert after["broken"][0]["unrealizedPl"] == -62 + 140 + 232
        selection = EVERYTHING if subscriber is one else Selection(condors=frozenset([SPY_ID]))
        assert after == service.document(selection)


def test_the_same_broken_condor_read_again_is_not_an_event():
    service = PublishingService(spy())
    service.set_positions(spy()[:3])
    version = service.edition.version
    service.wait(60)
    service.set_positions(spy()[:3])
    assert service.edition.version == version


def test_a_broken_condor_whose_legs_are_back_disappears_with_a_snapshot():
    service = PublishingService(spy())
    service.set_positions(spy()[:3])
    subscriber = follow(service)
    service.set_positions(spy())
    [(event, _, data)] = service.take(subscriber)
    assert (event, data["broken"], [condor["id"] for condor in data["condors"]]) == ("snapshot", [], [SPY_ID])


def test_two_broken_condors_share_the_profit_or_loss_of_a_contract_by_quantity_to_the_cent():
    service = PublishingService(ACCOUNTS["shared call"])
    service.set_positions(ACCOUNTS["shared call without puts"])
    service.offer(*(tick(symbol, mark - 0.05, mark + 0.05) for symbol, mark in ((P560, 1.0), (C630, 2.0), (C640, 1.0))))
    document = service.document(EVERYTHING)
    assert [entry["unrealizedPl"] for entry in document["unmatched"]] == [52, -20.01, -42.03]
    assert [[leg["held"] for leg in broken["legs"]] for broken in document["broken"]] == [[1, 0, 1, 1]] * 2
    assert [[leg["quantity"] for leg in broken["legs"]] for broken in document["broken"]] == [[1, 1, 1, 1]] * 2
    # Of 26 - 10.005 - 21.015, each half of a cent goes up.
    assert [broken["unrealizedPl"] for broken in document["broken"]] == [-5.01] * 2


# The whole of it against a plain model.

SELECTIONS = (
    EVERYTHING,
    Selection(condors=frozenset([SPY_ID])),
    Selection(condors=frozenset([QQQ_ID, "NO-SUCH"]), symbols=frozenset([C650, P560])),
    Selection(symbols=frozenset([C650])),
)
INTERVALS = (0.0, 0.0, 0.6, 2.0)
TIME_TO_LIVE = 30.0
ALERTS = (f"half:{SPY_ID}", "far:QQQ", "limit:account")


@st.composite
def skewed(draw):
    """Quotes of which some come from an exchange whose clock is ahead or behind."""
    one, skew = draw(ticks()), draw(st.sampled_from([0, 0, 0, 55, 100, 300, -300, 10**6]))
    return msgspec.structs.replace(one, at=one.at + dt.timedelta(seconds=skew))


class Client:
    """A client that knows the rule of the stream and nothing of the daemon."""

    def __init__(self, service, selection, interval, *, coding, is_eager):
        self.service, self.selection, self.interval, self.coding = service, selection, interval, coding
        self.is_eager = is_eager
        self.document = self.identity = None
        self.history = []
        self.quotes_sent_at = None
        self.connect()

    def connect(self, version=None):
        """Open a stream; what was not read of one before is lost."""
        self.subscriber = self.service.subscribe(
            self.selection, interval=self.interval, version=version, coding=self.coding
        )
        self.reading = zlib.decompressobj(31)
        self.alerts, self.alerts_before = [], self.service.announced

    def take(self):
        """The events that wait, as they come out of the coding."""
        sent = self.subscriber.take(lambda: self.service.now_at)
        return events(self.reading.decompress(sent) if self.coding == "gzip" else sent)


def lines(document):
    return {condor["id"]: condor["history"] for condor in document["condors"]}


def number_of(identity):
    return int(identity.rpartition("-")[2])


class Stream(RuleBasedStateMachine):
    """Quotes, gaps, positions, status and time in any order, against what was published at each version."""

    @initialize(
        window=st.sampled_from([0.05, 0.25]),
        min_change=st.sampled_from([0, 100, 100, 100, 2_000]),
        ring_size=st.sampled_from([1, 2, 4, 256]),
        replay_size=st.sampled_from([0, 1, 3, 1024]),
        account=st.sampled_from(sorted(ACCOUNTS)),
        evaluates=st.booleans(),
    )
    def start(self, window, min_change, ring_size, replay_size, account, evaluates):
        self.window_seconds, self.min_change, self.replay_size = window, min_change, replay_size
        self.service = PublishingService(
            window=window,
            min_change_e4=min_change,
            ring_size=ring_size,
            replay_size=replay_size,
            ttl=TIME_TO_LIVE,
            alerts=FakeAlerts,
        )
        self.service.alerts.evaluates = evaluates
        self.ring_size = ring_size
        self.clients, self.positions = [], ()
        self.known, self.pending = {}, {}
        self.clock, self.is_cut = PlainClock(), False
        self.status = status("starting")
        self.record, self.has_recorded, self.days = PlainRecord(), False, 0
        self.service.publisher.recorder = self.end_minute
        self.recasts, self.restarts = [], [0]
        self.set_back = dt.timedelta()
        self.at = {0: {selection: self.service.document(selection) for selection in SELECTIONS}}
        self.change(account)

    # What happens.

    @rule(batch=st.lists(skewed(), min_size=1, max_size=6))
    def offer(self, batch):
        self.note(batch)
        self.carry_out(lambda: self.service.offer(*batch))

    @rule(price=st.sampled_from([1.0, 2.0, 2.0]))
    def quote_all(self, price):
        """A plausible quote for every contract held."""
        batch = [tick(symbol, price, price + 0.1, 20) for symbol in self.service.book.symbols]
        self.note(batch)
        self.carry_out(lambda: self.service.offer(*batch))

    @rule(
        moves=st.dictionaries(
            st.integers(0, 7), st.sampled_from([0.3, 0.5, 0.5, 0.9, 1.0, -0.5]), min_size=1, max_size=4
        ),
        is_one_sided=st.booleans(),
    )
    def move_a_little(self, moves, is_one_sided):
        """Moves of a few contracts, mostly too small to count by themselves; numbered short legs first."""
        known = {**self.known, **self.pending}
        quoted = [symbol for symbol in self.service.book.symbols if symbol in known and known[symbol].bid > 1]
        batch = []
        for which, cents in moves.items():
            if which < len(quoted):
                last = known[quoted[which]]
                ask = last.ask + (0 if is_one_sided else cents / 100)
                batch.append(type(last)(symbol=last.symbol, at=last.at, bid=last.bid + cents / 100, ask=ask))
        self.note(batch)
        self.carry_out(lambda: self.service.offer(*batch))

    @rule(batch=st.lists(skewed(), min_size=1, max_size=6), gaps=st.sampled_from([0, 0, 0, 1, 2]))
    def confirm(self, batch, gaps):
        """REST's answer, requested `gaps` gaps ago."""
        streamed = set(self.pending)
        self.settle_model()
        held = [each for each in batch if each.symbol in self.service.book.symbols and self.is_believed(each)]
        for each in held:
            known = self.known.get(each.symbol)
            if known is None or (each.at != known.at and not self.clock.holds_back(known.at, each.at)):
                self.known[each.symbol] = each
        unconfirmed = self.known.keys() - self.service.prices.quotes.keys() | self.service.prices.unconfirmed
        self.carry_out(lambda: confirm(self.service, *batch, generation=self.service.prices.generation - gaps))
        confirmed = self.known.keys() - self.service.prices.unconfirmed
        if gaps:
            assert not confirmed & (unconfirmed - streamed)
        else:
            assert confirmed >= {each.symbol for each in held}

    @rule(second=st.sampled_from([-300, 0, 0, 20, 55, 100, 320, 10**6]))
    def read_exchange_time(self, second):
        """The exchange's clock is read: the first time, again, or after it was set otherwise."""
        self.service.prices.set_exchange_time(at(second))
        self.clock.set_time(at(second))

    @rule()
    def gap(self):
        self.settle_model()
        self.is_cut = True
        self.carry_out(self.service.gap)

    @rule(account=st.sampled_from(sorted(ACCOUNTS)))
    def change(self, account):
        before = self.service.edition.number
        positions = ACCOUNTS[account]

        def act():
            woken = self.service.publisher.set_positions(positions, self.service.now, self.service.now_at)
            if self.service.edition.number != before:
                self.recasts.append(self.service.edition.number)
                self.known = {s: q for s, q in self.known.items() if s in self.service.book.symbols}
                self.positions = positions
                self.settle_model()
            return woken

        self.carry_out(act)
        self.carry_out(self.service.turn)

    @rule(
        pieces=st.sampled_from([("condor", "broken"), ("shared call", "shared call without puts")]),
        price=st.sampled_from([1.0, 2.0]),
    )
    def break_up(self, pieces, price):
        """Condors lose legs without an order, and quotes of what is left move."""
        for account in pieces:
            self.change(account)
        self.quote_all(price)
        document = self.service.document(EVERYTHING)
        assert len(document["broken"]) == len(ACCOUNTS[pieces[0]]) - len(ACCOUNTS[pieces[1]])

    @rule(state=st.sampled_from(["live", "live", "stale", "reconnecting", "closed"]), read=st.integers(0, 3))
    def report_status(self, state, read):
        self.status = status(state, read=read, **({"market": CLOSED} if state == "closed" else {}))
        self.set_status()
        self.carry_out(self.service.turn)

    def set_status(self):
        """The first other status after a gap brings the quotes with it."""
        before = self.service.edition.number
        self.carry_out(lambda: self.service.publisher.set_status(self.status, self.service.now, self.service.now_at))
        if self.is_cut and self.service.edition.number != before:
            self.is_cut = False
            self.settle_model()

    @rule(
        symbol=st.sampled_from(["SPY", "SPY", "QQQ", "IWM"]),
        mid=st.sampled_from([425.0, 560.0, 600.0, 600.01, 601.0, 635.0]),
        spread=st.sampled_from([0.02, 0.02, 10.0]),
    )
    def offer_stocks(self, symbol, mid, spread):
        """A price moves by more or less than what counts, or its quote is too wide to give one."""
        stock = tick(symbol, mid - spread / 2, mid + spread / 2, self.service.now)
        self.service.publisher.offer_stocks([stock], self.service.now)
        self.carry_out(self.service.turn)

    @rule(volatility=st.sampled_from([0.18, 0.18, 0.2, 0.3]), price=st.sampled_from([590.0, 600.0]))
    def quote_by_model(self, volatility, price):
        """Quotes that have volatilities, and the price that they are of."""
        batch = model_ticks(self.service.book.symbols, price, volatility)
        self.note(batch)
        self.carry_out(lambda: self.service.offer(*batch))
        self.offer_stocks("SPY", price, 0.02)
        self.wait(self.service.book.risks.interval_seconds)

    @rule(
        selection=st.sampled_from(SELECTIONS),
        interval=st.sampled_from(INTERVALS),
        is_eager=st.booleans(),
        prices=st.lists(st.sampled_from([599.0, 600.0, 600.02, 629.0]), min_size=2, max_size=3, unique=True),
        limit=st.sampled_from([1.2, 1.3]),
    )
    def watch_figures(self, selection, interval, is_eager, prices, limit):
        """Figures, prices and orders of a condor change for a client of any filter and interval, fast or slow."""
        if SPY_ID not in lines(self.service.document(EVERYTHING)):
            self.change("condor and a call")
        self.report_status("live", 0)
        self.join(selection, interval, "gzip", is_eager)
        for price in prices:
            self.quote_by_model(0.2, price)
        self.read_orders(1, limit)
        self.wait(0.25)

    @rule(
        worst=st.sampled_from([-90_000, -100, 0]),
        terms=st.sampled_from([(2, 2.35), (2, 2.35), (1, 2.35), (2, 2.36)]),
        minutes=st.lists(st.integers(1, 30), unique=True).map(sorted),
    )
    def recall(self, worst, terms, minutes):
        """What was recorded of the condor of SPY, read from the database after its positions; of others no point was."""
        first = int((EPOCH_AT - dt.timedelta(hours=1)).timestamp())
        line = [(first + 60 * minute, minute) for minute in minutes]
        shown = {condor["id"]: condor for condor in self.service.document(EVERYTHING)["condors"]}
        past = RecordedPast(
            lines={
                **dict.fromkeys(shown, HistoryJson()),
                SPY_ID: HistoryJson(seconds=[second for second, _ in line], cents=minutes),
            },
            quantities={**{each: condor["quantity"] for each, condor in shown.items()}, SPY_ID: terms[0]},
            credits_e4={**{each: e4(condor["credit"]) for each, condor in shown.items()}, SPY_ID: e4(terms[1])},
            extremes={HoldingPeriod(condor_id=SPY_ID, opened_at=None): Extremes(worst=worst, best=worst + 100)},
        )
        if SPY_ID in shown:  # else it waits for a reading that has the condor
            self.service.book.recall_past(past)
            self.record.recall(SPY_ID, [worst, worst + 100], terms, line)

    @rule(account=st.sampled_from(sorted(ACCOUNTS)))
    def switch(self, account):
        """Switch to the positions of another account."""
        self.service.book.recall_past(None)
        self.record.forget()
        self.change(account)

    @rule(equity=st.sampled_from([None, 50_000, 50_001]), read=st.integers(0, 3))
    def read_balances(self, equity, read):
        summary = balances(equity, EPOCH_AT + dt.timedelta(seconds=read))
        self.service.publisher.set_account_summary(summary, self.service.now)
        self.carry_out(self.service.turn)

    @rule(count=st.integers(0, 2), limit=st.sampled_from([None, 1.2, 1.3]))
    def read_orders(self, count, limit):
        """Working orders that close the condor of SPY, or what is like it."""
        orders = [closing_order(str(number), limit) for number in range(count)]
        self.service.publisher.set_working_orders(orders, self.service.now)
        self.carry_out(self.service.turn)

    @rule(bought=st.sampled_from([0, 0, 1]), close=st.sampled_from([None, 0.0, 1.0, 2.0]))
    def read_day(self, bought, close):
        """Today's fills, and yesterday's closes."""
        symbols = self.service.book.symbols
        fills = [DayFill(symbol=symbol, quantity=bought, price_e6=900_000, at=EPOCH_AT) for symbol in symbols if bought]
        self.service.publisher.set_day_fills(DAY, fills, self.service.now)
        if close is not None:
            closes = ClosingPrices(day=DAY - dt.timedelta(days=1), prices_e4=dict.fromkeys(symbols, e4(close)))
            self.service.publisher.set_closes(closes, self.service.now)
        self.carry_out(self.service.turn)

    @rule(
        identity=st.sampled_from(ALERTS),
        state=st.sampled_from(["firing", "firing", "resolved", "ended"]),
        seconds=st.sampled_from([0.0, 0.1]),
    )
    def change_alert(self, identity, state, seconds):
        """A rule comes to hold or stops to, now or by time."""
        self.service.alerts.set(identity, state, due=self.service.now + seconds)
        self.carry_out(self.service.turn)

    @rule(which=st.integers(0, 3))
    def acknowledge(self, which):
        alerts, service = self.service.alerts, self.service
        if alerts.by_id:
            changes = alerts.acknowledge(sorted(alerts.by_id)[which % len(alerts.by_id)], service.now_at)
            self.carry_out(lambda: service.publisher.show_alerts(changes, service.now, service.now_at))

    def fire_and_resolve(self, identity):
        for state in ("firing", "resolved"):
            self.change_alert(identity, state, 0.0)

    @rule(identity=st.sampled_from(ALERTS))
    def remove_alert(self, identity):
        """An alert leaves the document, as at the end of a day."""
        self.fire_and_resolve(identity)
        self.wait(self.window_seconds + 0.001)
        del self.service.alerts.by_id[identity]
        self.carry_out(
            lambda: self.service.publisher.show_alerts(AlertChanges(), self.service.now, self.service.now_at)
        )

    @precondition(lambda self: self.service.alerts.by_id)
    @rule()
    def change_alert_after_a_quiet_window(self):
        """A change leaves at once, even while quotes wait for their window, to clients of any filter and interval."""
        identity = min(self.service.alerts.by_id)
        is_firing = self.service.alerts.by_id[identity].state == "firing"
        self.wait(2 * self.window_seconds + 0.001)
        self.quote_all(1.0)
        before = len(self.service.alerts.transitions)
        self.service.alerts.set(identity, "resolved" if is_firing else "firing", due=self.service.now)
        self.carry_out(self.service.turn)
        if self.service.alerts.evaluates:  # the quotes may have changed another one
            return
        assert len(self.service.alerts.transitions) == before + 1
        for client in self.clients:
            if client.is_eager:
                shown = {alert["id"]: alert["state"] for alert in client.document["alerts"]}
                assert shown[identity] == ("resolved" if is_firing else "firing")

    @precondition(lambda self: self.days < 3)
    @rule()
    def end_day(self):
        """The status of the next day at the exchange removes what does not fire."""
        self.fire_and_resolve(ALERTS[0])
        self.wait_until_delivered()
        self.days += 1
        self.service.clock_is_ahead_by += 24 * 3600
        self.recasts.append(self.service.edition.number + 1)
        self.set_status()
        assert self.service.edition.number == self.recasts[-1]
        self.carry_out(self.service.turn)
        assert all(alert["state"] == "firing" for alert in self.service.document(EVERYTHING)["alerts"])

    @rule(seconds=st.sampled_from([0.01, 0.04, 0.1, 0.25, 0.6, 2.0, 40.0]))
    def wait(self, seconds):
        until = self.service.now + seconds
        while (deadline := self.service.publisher.deadline) is not None and deadline <= until:
            assert deadline >= self.service.now or deadline == self.service.book.risks.deadline
            self.service.now = max(self.service.now, deadline)
            self.carry_out(self.service.turn)
        self.service.now = until

    @rule(price=st.sampled_from([1.0, 2.0]))
    def wait_for_a_minute(self, price):
        """Long enough for a point of each line, with quotes that are not too old for one."""
        self.report_status("live", 0)
        self.wait(max(0.0, self.seconds_to_point - 20.0))
        self.quote_all(price)
        self.wait(20.0)

    @property
    def seconds_to_point(self):
        return self.service.book.minutes.deadline - self.service.now

    @precondition(lambda self: len(self.clients) < 7)
    @rule(selection=st.sampled_from(SELECTIONS), is_eager=st.booleans(), resumes=st.booleans())
    def join_a_slow_view_that_holds_back_a_minute(self, selection, is_eager, resumes):
        """One whose interval has not passed, with one that has been there before."""
        self.report_status("live", 0)
        self.join(selection, max(INTERVALS), "identity", is_eager)
        self.wait(max(0.0, self.seconds_to_point - 1.0))
        self.quote_all(1.0)
        self.wait(0.5)
        self.quote_all(2.0)
        self.wait(0.6)
        client = Client(self.service, selection, max(INTERVALS), coding="gzip", is_eager=is_eager)
        self.clients.append(client)
        if resumes:
            self.read(client)
            self.service.fanout.unsubscribe(client.subscriber)
            client.connect(client.identity)
        self.read(client)
        client.quotes_sent_at = None

    @rule(seconds=st.sampled_from([0.3, 3.0]))
    def wait_on_a_busy_loop(self, seconds):
        """Let an iteration of the loop come late."""
        self.service.now += seconds
        self.carry_out(self.service.turn)

    @precondition(lambda self: self.service.clock_is_ahead_by > -1_000)
    @rule()
    def set_clock_back(self):
        """Set the clock back by more than a minute, so that lines have later points than the next, but not to the session's open."""
        self.service.clock_is_ahead_by -= 90
        self.set_back += dt.timedelta(seconds=90)

    @rule()
    def heartbeat(self):
        self.carry_out(lambda: self.service.fanout.heartbeat(self.service.now_at))

    @rule(
        selection=st.sampled_from(SELECTIONS),
        interval=st.sampled_from(INTERVALS),
        coding=st.sampled_from(["identity", "gzip"]),
        is_eager=st.booleans(),
    )
    def join(self, selection, interval, coding, is_eager):
        if len(self.clients) < 8:
            client = Client(self.service, selection, interval, coding=coding, is_eager=is_eager)
            self.clients.append(client)
            if is_eager:
                assert [event for event, _, _ in self.read(client)] == ["snapshot"]
                client.quotes_sent_at = None

    @precondition(lambda self: self.clients)
    @rule(which=st.integers(0, 7))
    def read_slowly(self, which):
        self.read(self.clients[which % len(self.clients)])

    @precondition(lambda self: self.clients)
    @rule(which=st.integers(0, 7))
    def leave(self, which):
        client = self.clients.pop(which % len(self.clients))
        self.service.fanout.unsubscribe(client.subscriber)

    @precondition(lambda self: any(client.history for client in self.clients))
    @rule(
        which=st.integers(0, 7),
        back=st.integers(0, 5),
        other=st.sampled_from([None] * 6 + ["zzzz-1", "k3f9-", "-", "k3f9-999999", "k3f9-²", "", "k3f9--1"]),
    )
    def resume(self, which, back, other):
        """A connection is cut, with what it had not read; its client comes back with an id it has seen."""
        resumable = [client for client in self.clients if client.history]
        client = resumable[which % len(resumable)]
        self.service.fanout.unsubscribe(client.subscriber)
        client.history = client.history[: max(1, len(client.history) - back)]
        client.identity, client.document = client.history[-1]
        version = client.identity if other is None else other
        client.connect(version)
        since = number_of(client.identity)
        reaches = self.service.edition.number - since <= self.replay_size
        reaches = reaches and since >= max(self.recasts[-1], self.restarts[-1])
        client.quotes_sent_at = None
        if self.service.fanout.is_waiting(client.subscriber):
            assert self.read(client) == []
            self.service.fanout.stop_waiting(client.subscriber, self.service.now_at)
        found = [event for event, _, _ in self.read(client)]
        if other is not None or not reaches:
            assert found == ["snapshot"]
        else:
            assert found == ["delta"]
            assert "status" in client.last_data
        assert self.shown(client) == self.published(client)
        client.quotes_sent_at = None

    # What must then be true.

    @rule()
    def wait_until_delivered(self):
        """Once nothing waits, every client holds the daemon's document, and it is that of the newest quotes."""
        self.set_status()
        self.wait(3.0)
        book = self.service.book
        # A pass that is made only because time has passed may have ended just now; the next one is many seconds away.
        for _ in range(3):
            later = [each for each in (book.minutes.deadline, book.risks.deadline) if each is not None]
            if self.service.publisher.deadline == min(later, default=None):
                break
            self.wait(max(self.window_seconds, *INTERVALS) + 1e-9)
        assert self.service.publisher.deadline == min(later, default=None)
        for client in self.clients:
            self.read(client)
            assert self.shown(client) == self.published(client)
        self.check_newest()

    @rule()
    def wait_for_a_window(self):
        """A burst is published within one window of its last value, to clients without an interval, too."""
        self.wait(self.window_seconds + 1e-9)
        self.check_newest()
        for client in self.clients:
            if client.is_eager and client.interval == 0:
                assert self.shown(client) == self.published(client)

    @precondition(lambda self: self.service.book.symbols)
    @rule(which=st.integers(0, 20))
    def change_after_a_quiet_time(self, which):
        """A change leaves at once, to clients of any interval."""
        self.wait_until_delivered()
        self.wait(max(INTERVALS))
        symbol = self.service.book.symbols[which % len(self.service.book.symbols)]
        is_locked = self.service.quote(symbol).state == "locked"
        bid, ask = (2.0, 0.0) if is_locked else (2.0, 2.0)
        second = 1 + max(((each.at - EPOCH_AT).total_seconds() for each in self.known.values()), default=0)
        self.read_exchange_time(second)
        newest = tick(symbol, bid, ask, second)
        self.note([newest])
        self.carry_out(lambda: self.service.offer(newest))
        for client in self.clients:
            if client.is_eager and client.selection.is_everything:
                shown = {quote["symbol"]: quote["state"] for quote in client.document["quotes"]}
                assert shown[symbol] == ("noAsk" if is_locked else "locked")

    def teardown(self):
        if hasattr(self, "service"):
            self.wait_until_delivered()
            self.service.fanout.close("the end")
            for client in self.clients:
                assert [event for event, _, _ in client.take()] == ["bye"]
                assert client.reading.eof == (client.coding == "gzip")

    # How it is sent.

    def end_minute(self, rows):
        """End the minute between the events of a step."""
        assert not self.has_recorded
        self.has_recorded = True
        self.record.see(self.service.document(EVERYTHING), self.service.now_at)
        self.record.end_minute(rows, self.service.now_at)

    def carry_out(self, act):
        """One step of the daemon: at most one event and the end of one minute, each recorded at its version, and read at once by eager clients."""
        before, taken, self.has_recorded = self.service.edition.number, self.service.coalescer.taken, False
        was = self.at[before][EVERYTHING]
        woken = act()
        number = self.service.edition.number
        # By the clock of this moment, even if results of a pass wait again already.
        if self.service.coalescer.deadline is None or self.service.coalescer.taken > taken:
            self.is_cut = False
            self.settle_model()
        if number == before:
            assert self.service.document(EVERYTHING) == was
        else:
            self.at[number] = {selection: self.service.document(selection) for selection in SELECTIONS}
            document = self.at[number][EVERYTHING]
            assert number in (before + 1, before + 1 + self.has_recorded)
            self.check_consistent(document)
            self.record.see(document, self.service.now_at)
            self.record.check(document)
            if number not in self.recasts:
                self.check_change(was, document)
        waiting = {client.subscriber for client in self.clients if client.subscriber.ring or client.subscriber.is_lost}
        assert waiting >= set(woken)
        assert len(woken) == len(set(woken))
        for client in self.clients:
            if client.is_eager:
                self.read(client)
        self.check_announced()

    def read(self, client):
        found = client.take()
        for event, identity, data in found:
            client.document = applied(client.document, event, identity, data)
            if event == "alert":
                self.check_alert(client, identity, data)
                continue
            if identity is None:
                assert event == "heartbeat"
                continue
            number = number_of(identity)
            assert client.identity is None or number >= number_of(client.identity)
            assert client.document == self.at[number][client.selection]
            client.identity = identity
            client.history.append((identity, client.document))
            client.last_data = data
            is_paced = "status" not in data and "alerts" not in data and not self.has_recorded
            if client.is_eager and event == "delta" and is_paced and (data["quotes"] or data["valuations"]):
                self.check_pace(client)
        return found

    def check_alert(self, client, identity, data):
        """The document of the client has what the event is about, or what came of it before it was published.

        That is later, by a clock that may have been set back in between.
        """
        assert identity is None
        shown = [alert for alert in client.document["alerts"] if alert["id"] == data["id"]]
        assert all(instant(alert["since"]) + self.set_back >= instant(data["since"]) for alert in shown)
        assert shown or not any(
            each.id == data["id"] and each.state == "firing" for each in self.service.alerts.records
        )
        client.alerts.append(data)

    def check_announced(self):
        """Who reads at once gets an event for each transition that was published, in order, and no other."""
        sent = [render_alerts.alert(each) for each in self.service.alerts.transitions[: self.service.announced]]
        for client in self.clients:
            if client.is_eager and self.ring_size > MAX_TICKS:
                assert client.alerts == json.loads(wire.encode(sent[client.alerts_before :]))

    def check_pace(self, client):
        """There is at most one delta with quotes in a window, or in the interval that the client asked for."""
        pace = max(self.window_seconds, client.interval)
        if client.quotes_sent_at is not None:
            assert self.service.now >= client.quotes_sent_at + pace - 1e-9
        client.quotes_sent_at = self.service.now

    def shown(self, client):
        return {**client.document, "version": None}

    def published(self, client):
        """What the client should see: its own version may be older, where nothing has changed for it since."""
        return {**self.service.document(client.selection), "version": None}

    def check_consistent(self, document):
        """Every valuation is that of the quotes beside it, and every total the sum of its parts."""
        quotes = {quote.symbol: quote for quote in map(core_quote, document["quotes"])}
        unconfirmed = {quote["symbol"] for quote in document["quotes"] if quote["unconfirmed"]}
        grouping = group(self.positions)
        expected = [render.valuation(each, values.value(each, quotes, unconfirmed)) for each in grouping.condors]
        unknown = {"dayPl": None, "worstPl": None, "bestPl": None}
        shown = [{**condor["valuation"], **unknown} for condor in document["condors"]]
        assert shown == json.loads(wire.encode(expected))
        for entry, leftover in zip(document["unmatched"], grouping.unmatched, strict=True):
            quote = quotes.get(entry["symbol"])
            assert e4(entry["mark"]) == (quote and quote.mark_e4)
            assert e4(entry["unrealizedPl"]) == values.leftover_unrealized_e4(leftover, quotes)
        check_totals(document)
        for broken in document["broken"]:
            assert broken["unrealizedPl"] == left_pl(broken, document["unmatched"])

    def check_change(self, was, document):
        """Lines only grow, else there was a snapshot; and without a minute, the event had its reason."""
        before, after = lines(was), lines(document)
        if any(line[name] != after[each][name][: len(line[name])] for each, line in before.items() for name in line):
            self.restarts.append(self.service.edition.number)
        if before == after and not self.has_recorded:
            self.check_counts(was, document)

    def check_counts(self, was, document):
        """What left was worth an event: each quote counts by itself or with the others of its condor."""
        if was["status"] != document["status"]:
            return
        before = {quote["symbol"]: quote for quote in was["quotes"]}
        moved = [quote for quote in document["quotes"] if quote != before[quote["symbol"]]]
        assert moved or without_quotes(was) != without_quotes(document)
        values_before = {condor["id"]: condor["valuation"] for condor in was["condors"]}
        legs = set()
        for condor in document["condors"]:
            if self.counts(values_before[condor["id"]], condor["valuation"], ("mark", "natural"), ()):
                legs.update(leg["symbol"] for leg in condor["legs"])
        for quote in moved:
            alone = self.counts(before[quote["symbol"]], quote, ("bid", "ask", "mark"), ("state", "unconfirmed"))
            assert alone or quote["symbol"] in legs

    def counts(self, before, after, prices, words):
        if any(before[word] != after[word] for word in words):
            return True
        return any(self.moved(e4(before[price]), e4(after[price])) for price in prices)

    def moved(self, before, after):
        if before is None or after is None:
            return before != after
        return before != after and abs(after - before) >= self.min_change

    def check_newest(self):
        """Nothing that counts is held back."""
        document = self.service.edition.document(self.service.now_at)
        newest = self.service.prices.quotes
        assert newest.keys() == self.known.keys()
        for shown in document.quotes:
            known = self.known.get(shown.symbol)
            if known is None:
                assert (shown.state, shown.unconfirmed) == ("none", False)
                continue
            quote = newest[shown.symbol]
            assert (quote.at, quote.bid_e4, quote.ask_e4) == (known.at, round(known.bid * 1e4), round(known.ask * 1e4))
            assert shown.state == quote.state
            assert shown.unconfirmed == (shown.symbol in self.service.prices.unconfirmed)
            for mine, theirs in ((shown.bid, quote.bid_e4), (shown.ask, quote.ask_e4), (shown.mark, quote.mark_e4)):
                assert not self.moved(e4(mine), theirs)
        for condor, card in zip(group(self.positions).condors, document.condors, strict=True):
            value = values.value(condor, newest, self.service.prices.unconfirmed)
            assert not self.moved(e4(card.valuation.mark), value.mark_e4)
            assert not self.moved(e4(card.valuation.natural), value.natural_e4)
            assert card.valuation.missing == list(value.missing)
            assert card.valuation.unconfirmed == value.unconfirmed

    def note(self, batch):
        for each in filter(self.is_believed, batch):
            waiting = self.pending.get(each.symbol)
            if waiting is None or not self.clock.holds_back(waiting.at, each.at):
                self.pending[each.symbol] = each

    def is_believed(self, each):
        return each.is_sane and not self.clock.is_future(each.at)

    def settle_model(self):
        believed = []
        for symbol, each in self.pending.items():
            known = self.known.get(symbol)
            is_late = known is not None and self.clock.holds_back(known.at, each.at)
            if symbol in self.service.book.symbols and self.is_believed(each) and not is_late:
                self.known[symbol] = each
                believed.append(each.at)
        self.pending.clear()
        self.clock.move_limit(believed)

    @invariant()
    def the_version_names_the_newest_event(self):
        if hasattr(self, "service"):
            assert self.service.edition.version == f"k3f9-{self.service.edition.number}"

    @invariant()
    def a_minute_runs_in_the_session(self):
        if hasattr(self, "service"):
            assert (self.service.book.minutes.deadline is not None) == self.record.is_running


def without_quotes(document):
    """What may change without a quote: figures, today's profit or loss, extremes, balances and orders."""
    parts = ("underlyings", "account", "totals", "alerts")
    days = [entry["dayPl"] for entry in document["unmatched"]]
    condors = [(condor["risk"], condor["closing"], condor["history"]) for condor in document["condors"]]
    values = [[condor["valuation"][name] for name in ("dayPl", "worstPl", "bestPl")] for condor in document["condors"]]
    return [document[part] for part in parts], days, condors, values


def model_ticks(symbols, price, volatility):
    """Quotes a cent wide around what the contracts of SPY are worth."""
    conditions = MarketConditions(spot=price, years=28 / 365, rate=0.04)
    found = []
    for symbol in symbols:
        contract = parse(symbol)
        if contract.root == "SPY":
            worth = model_price(contract.right, contract.strike_mills / 1000, volatility, conditions)
            found.append(tick(symbol, worth - 0.01, worth + 0.01, 20))
    return found


def instant(text):
    return dt.datetime.fromisoformat(text)


def balances(equity, read_at):
    e4 = None if equity is None else equity * 10_000
    return AccountSummary(
        read_at=read_at,
        equity_e4=e4,
        last_equity_e4=499_800_000,
        cash_e4=0,
        buying_power_e4=0,
        options_buying_power_e4=0,
        maintenance_margin_e4=0,
        transfers_e4=0,
    )


def closing_order(identity, limit, quantity=1):
    """A working order that closes a condor of `spy`."""
    signs = {P560: -1, P570: 1, C630: 1, C640: -1}
    legs = tuple(OrderLeg(symbol=symbol, quantity=sign * quantity, closes=True) for symbol, sign in signs.items())
    limit_e4 = None if limit is None else round(limit * 10_000)
    return WorkingOrder(id=identity, submitted_at=EPOCH_AT, limit_e4=limit_e4, quantity=quantity, legs=legs)


def core_quote(published):
    """The quote of the core behind a published one."""
    at = published["time"]
    return Quote(
        symbol=published["symbol"],
        at=None if at is None else dt.datetime.fromisoformat(at),
        bid_e4=e4(published["bid"]),
        ask_e4=e4(published["ask"]),
        state=published["state"],
        mark_e4=e4(published["mark"]),
    )


def check_totals(document):
    totals = document["totals"]
    valuations = [condor["valuation"] for condor in document["condors"]]
    unmatched = [entry["unrealizedPl"] for entry in document["unmatched"]]
    by_underlying = {part["underlying"]: part for part in totals["byUnderlying"]}

    def added(parts):
        return None if None in parts else round(sum(parts), 4)

    firing = [alert["severity"] for alert in document["alerts"] if alert["state"] == "firing"]
    assert totals["alerts"] == {"critical": 0, "warning": len(firing), "info": 0}
    assert totals["condors"] == len(valuations)
    assert totals["unrealizedPl"] == added([value["unrealizedPl"] for value in valuations])
    assert totals["naturalPl"] == added([value["naturalPl"] for value in valuations])
    assert totals["dayPl"] == added([*(value["dayPl"] for value in valuations), totals["closedDayPl"]])
    assert totals["unmatchedPl"] == added(unmatched)
    assert totals["maxLoss"] == added([part["maxLoss"] for part in totals["byUnderlying"]])
    unknown = [None in (value["unrealizedPl"], value["naturalPl"], value["dayPl"]) for value in valuations]
    unknown += [None in (entry["unrealizedPl"], entry["dayPl"]) for entry in document["unmatched"]]
    assert totals["incomplete"] == sum(unknown)
    for underlying, part in by_underlying.items():
        condors = [condor for condor in document["condors"] if condor["underlying"] == underlying]
        assert part["unrealizedPl"] == added([condor["valuation"]["unrealizedPl"] for condor in condors])
        assert part["dayPl"] == added([condor["valuation"]["dayPl"] for condor in condors])
    for value in valuations:
        assert value["unrealizedPl"] == added([leg["unrealizedPl"] for leg in value["legs"]])
    check_greeks(document)


def check_greeks(document):
    """The greeks of an underlying are the sum of those shown of its condors, and theta that of the underlyings."""

    def adds_up(whole, parts):
        if None in (whole, *parts):
            return whole is None or None not in parts
        return abs(whole - sum(parts)) <= 0.005 * (len(parts) + 1) + 1e-9

    for entry in document["underlyings"]:
        risks = [each["risk"] for each in document["condors"] if each["underlying"] == entry["symbol"]]
        if all(each["underlying"] != entry["symbol"] for each in document["unmatched"]):
            for greek in ("gamma", "theta", "vega"):
                assert adds_up(entry[greek], [risk[greek] for risk in risks])
            assert adds_up(entry["delta"], [*(risk["delta"] for risk in risks), entry["shares"]])
    thetas = [entry["theta"] for entry in document["underlyings"]]
    if None not in thetas:
        assert adds_up(document["totals"]["theta"], thetas)


# Each step compares whole documents; with branch coverage and on a busy machine that takes minutes.
TestStream = pytest.mark.timeout(1200)(pytest.mark.slow(Stream.TestCase))
TestStream.settings = settings(REPEATABLE, max_examples=examples(120), stateful_step_count=40)


def test_the_model_of_a_client_ignores_the_instants_that_move_without_an_event():
    service = PublishingService(spy())
    document = json.loads(wire.encode(service.edition.document(service.now_at)))
    later = json.loads(wire.encode(service.edition.document(service.now_at + dt.timedelta(seconds=5))))
    assert document != later
    assert settled(document) == settled(later)


def test_every_account_of_the_tests_is_grouped_as_its_name_says():
    condors = {name: len(group(account).condors) for name, account in ACCOUNTS.items()}
    assert condors == {
        "nothing": 0,
        "condor": 1,
        "condor and a call": 1,
        "broken": 0,
        "two condors": 2,
        "shared call": 2,
        "shared call without puts": 0,
        "unpaid": 1,
        "unreadable": 1,
    }
    assert len(SYMBOLS) == 10  # four of SPY's, four of QQQ's, and two more


# How long a quote is on its way.


def test_the_receipt_of_the_oldest_published_quote_is_returned_once(service):
    received = service.now
    service.offer(tick(P560, 2.0, 2.1, 1))
    assert (service.publisher.take_received(), service.publisher.take_received()) == (received, None)
    service.wait(0.1)
    received = service.now
    service.offer(tick(P560, 3.0, 3.1, 2))
    service.wait(0.1)
    service.offer(tick(P560, 4.0, 4.1, 3))
    service.wait(0.1)
    assert service.publisher.take_received() == received


def test_a_quote_that_changes_nothing_does_not_count_as_the_oldest(service):
    service.offer(tick(P560, 2.0, 2.1, 1))
    service.publisher.take_received()
    service.wait(10)
    service.offer(tick(P560, 2.0, 2.1, 2))
    service.wait(10)
    assert service.publisher.take_received() is None
    service.offer(tick(P560, 3.0, 3.1, 3))
    assert service.publisher.take_received() == service.now


def test_a_change_over_rest_has_no_time_of_receipt(service):
    before = service.edition.number
    confirm(service, tick(P560, 5.0, 5.1, 1))
    assert service.edition.number > before
    assert service.publisher.take_received() is None


SHORT_CALL = position(C650, -1, 0.40)
EXPIRATION_DAY = dt.datetime(2026, 12, 18, 15, tzinfo=dt.UTC) - EPOCH_AT


def set_status_at(service, since_epoch):
    """Publish a status at this time after `EPOCH_AT`."""
    service.now = since_epoch.total_seconds()
    return service.set_status(status())


def shown_parts(service):
    document = service.edition.document(service.now_at)
    codes = [notice.code for notice in document.status.notices]
    (short,) = [entry for entry in document.unmatched if entry.symbol == C650]
    return codes, short.uncovered_short, document.totals.max_loss, document.condors[0].days_to_expiration


def test_a_day_ends_at_midnight_of_the_exchange_without_a_change_of_positions():
    service = PublishingService((*spy(), SHORT_CALL))
    midnight = dt.datetime(2026, 11, 21, 5, tzinfo=dt.UTC) - EPOCH_AT
    set_status_at(service, midnight - dt.timedelta(seconds=1))
    assert shown_parts(service)[3] == 28
    version = service.edition.version
    set_status_at(service, midnight)
    assert shown_parts(service)[3] == 27
    assert service.edition.version != version


def test_contracts_settle_without_a_change_of_positions():
    service = PublishingService((*spy(), SHORT_CALL))
    set_status_at(service, EXPIRATION_DAY)
    assert shown_parts(service) == (["expiresToday"] * 2, True, None, 0)
    set_status_at(service, EXPIRATION_DAY + dt.timedelta(hours=6, minutes=15))
    assert shown_parts(service) == (["expired"] * 2, False, 0, 0)
    subscriber = service.subscribe(EVERYTHING)
    assert service.take(subscriber)


def test_a_later_calendar_takes_effect_with_the_next_status():
    service = PublishingService((*spy(), SHORT_CALL))
    half_past_two = EXPIRATION_DAY + dt.timedelta(hours=4, minutes=30)
    set_status_at(service, half_past_two)
    assert shown_parts(service)[0] == ["expiresToday"] * 2
    day = dt.date(2026, 12, 18)
    service.account.set_calendar(Calendar({day: hours_of(day, dt.time(9, 30), dt.time(13))}))
    set_status_at(service, half_past_two)
    assert shown_parts(service)[0] == ["expired"] * 2


def test_a_stub_that_moves_little_and_has_no_mark_is_not_a_change_that_counts():
    service = PublishingService(spy())
    service.offer(tick(P560, 0.0, 4.8))
    service.wait(1)
    version = service.edition.version
    service.offer(tick(P560, 0.0, 4.805, 1))
    service.wait(1)
    assert (service.edition.version, service.quote(P560).mark) == (version, None)
