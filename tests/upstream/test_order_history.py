import asyncio
import contextlib
import datetime as dt

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.core.activity import Activity
from condord.core.filled_orders import Fill, Order
from condord.core.grouping.account import group
from condord.core.lots import lots
from condord.core.occ import parse
from condord.core.position import Position
from condord.upstream import order_history
from condord.upstream.interfaces import OrderPage
from condord.upstream.order_history import OrderHistory, OrderReader, SavedOrders
from condord.upstream.rest_fault import RestFault
from condord.upstream.state_files import Store
from tests.fakes.alpaca import (
    CONDOR,
    LONG_CALL,
    LONG_PUT,
    NO_ORDERS,
    OUTAGE,
    SHORT_CALL,
    SHORT_PUT,
    STARTED_AT,
    FakeBrokerage,
    wall,
)
from tests.virtualtime import run

HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
SUBMITTED = "2026-11-19T17:11:25.17464Z"
SUBMITTED_AT = dt.datetime(2026, 11, 19, 17, 11, 25, 174640, tzinfo=dt.UTC)
FILLED = "2026-11-19T17:11:26.217590123Z"
FILLED_AT = dt.datetime(2026, 11, 19, 17, 11, 26, 217590, tzinfo=dt.UTC)
UPDATED = "2026-11-20T14:00:00Z"
UPDATED_AT = dt.datetime(2026, 11, 20, 14, tzinfo=dt.UTC)


def leg(symbol=SHORT_PUT, intent="sell_to_open", quantity="1", price="2.4", **fields):
    return {
        "id": f"leg-{symbol}",
        "symbol": symbol,
        "asset_class": "us_option",
        "order_class": "mleg",
        "side": intent[:4].removesuffix("_"),
        "position_intent": intent,
        "qty": "1",
        "filled_qty": quantity,
        "filled_avg_price": price,
        "filled_at": FILLED,
        "submitted_at": SUBMITTED,
        "status": "filled",
        "legs": None,
        **fields,
    }


LEGS = [
    leg(LONG_PUT, "buy_to_open", price="1.21"),
    leg(SHORT_PUT, "sell_to_open", price="2.4"),
    leg(SHORT_CALL, "sell_to_open", price="2.26"),
    leg(LONG_CALL, "buy_to_open", price="1.1"),
]


def parent(id_="one", legs=LEGS, **fields):
    return {
        "id": id_,
        "symbol": "",
        "asset_class": "",
        "side": "",
        "order_class": "mleg",
        "qty": "1",
        "filled_qty": "1",
        "filled_avg_price": "-2.35",
        "submitted_at": SUBMITTED,
        "filled_at": FILLED,
        "status": "filled",
        "legs": legs,
        **fields,
    }


def order(row):
    """The order of one row; None if the row is skipped."""
    found = order_history.page([row], [].append).orders
    return found[0] if found else None


def refused(*rows):
    """The counts for these rows."""
    names = []
    order_history.page(list(rows), names.append)
    return names


class TestRows:
    def test_a_multi_leg_order_has_a_fill_for_each_leg(self):
        read = order(parent())
        assert (read.id, read.filled_at) == ("one", FILLED_AT)
        assert [(fill.symbol, fill.quantity, fill.price_e6, fill.opens) for fill in read.fills] == [
            (LONG_PUT, 1, 1_210_000, True),
            (SHORT_PUT, -1, 2_400_000, True),
            (SHORT_CALL, -1, 2_260_000, True),
            (LONG_CALL, 1, 1_100_000, True),
        ]
        assert read.fills[0].contract.strike_mills == 560_000

    @pytest.mark.parametrize(
        ("intent", "quantity", "opens"),
        [
            ("buy_to_open", 3, True),
            ("buy_to_close", 3, False),
            ("sell_to_open", -3, True),
            ("sell_to_close", -3, False),
        ],
    )
    def test_the_intent_gives_the_sign_and_whether_it_opens(self, intent, quantity, opens):
        (fill,) = order(parent(legs=[leg(intent=intent, quantity="3")])).fills
        assert (fill.quantity, fill.opens) == (quantity, opens)

    def test_an_order_of_a_single_option_has_one_fill(self):
        read = order(leg(intent="buy_to_close", order_class="simple"))
        assert [(fill.symbol, fill.quantity, fill.opens) for fill in read.fills] == [(SHORT_PUT, 1, False)]

    def test_a_fill_has_the_id_of_its_leg_or_of_the_order_if_that_has_no_legs(self):
        assert [fill.leg_id for fill in order(parent()).fills] == [one["id"] for one in LEGS]
        assert [fill.leg_id for fill in order(leg(id="single", order_class="simple")).fills] == ["single"]
        assert [fill.leg_id for fill in order(parent(legs=[leg(id=5)])).fills] == [None]

    @pytest.mark.parametrize("status", ["canceled", "expired", "replaced", "partially_filled"])
    def test_fills_count_even_if_the_rest_of_the_order_ended_unfilled(self, status):
        read = order(parent(status=status, qty="5", filled_at=None))
        assert [abs(fill.quantity) for fill in read.fills] == [1, 1, 1, 1]
        assert read.filled_at == FILLED_AT

    def test_the_last_update_is_the_instant_of_an_order_that_is_filled_in_part(self):
        read = order(partial())
        assert (read.filled_at, read.is_partial) == (UPDATED_AT, True)
        assert not order(parent()).is_partial

    def test_the_submission_replaces_a_missing_instant_of_the_fill(self):
        read = order(parent(legs=[leg(filled_at=None)], filled_at=None))
        assert (read.filled_at, read.is_partial) == (SUBMITTED_AT, True)

    def test_an_order_is_dated_by_its_legs_only_if_all_of_them_are_filled(self):
        legs = [one | {"filled_at": None} for one in LEGS[:2]] + LEGS[2:]
        assert order(parent(legs=LEGS, filled_at=None)).is_partial is False
        assert order(partial(legs=legs)).is_partial
        assert order(partial(legs=legs, updated_at=None)).filled_at == FILLED_AT

    @pytest.mark.parametrize("quantity", ["0", "0.0", 0, None, ""])
    def test_a_leg_that_filled_nothing_is_skipped(self, quantity):
        assert [fill.symbol for fill in order(parent(legs=[LEGS[0], leg(quantity=quantity)])).fills] == [LONG_PUT]

    @pytest.mark.parametrize(
        "row",
        [
            parent(legs=[leg(quantity="0")], status="canceled"),
            parent(legs=[leg("SPY")]),
            parent(legs=[]),
            leg("SPY", asset_class="us_equity", quantity="0.5"),
        ],
        ids=["nothing filled", "only a stock leg", "no legs", "a stock"],
    )
    def test_an_order_that_filled_no_option_is_skipped(self, row):
        assert (order(row), refused(row)) == (None, [])

    @pytest.mark.parametrize(
        "row",
        [
            parent(id=None),
            parent(id="\ud800"),
            parent(legs=[*LEGS[1:], leg(position_intent=None)]),
            parent(legs=[*LEGS[1:], leg(position_intent="hedge")]),
            parent(legs=[*LEGS[1:], leg(position_intent=["buy_to_open"])]),
            parent(legs=[*LEGS[1:], leg(price=None)]),
            parent(legs=[*LEGS[1:], leg(price="NaN")]),
            *(parent(legs=[*LEGS[1:], leg(quantity=quantity)]) for quantity in ("-1", "0.5", "NaN", "x", [], True)),
            parent(legs=[leg(filled_at=None)], filled_at=None, submitted_at=None),
            parent(legs=[leg(filled_at="0001-01-01T00:00:00Z")], filled_at=None, submitted_at="9999-12-31T23:59:59Z"),
        ],
    )
    def test_an_order_whose_fills_cannot_all_be_read_is_skipped_and_counted(self, row):
        assert (order(row), refused(row)) == (None, ["orderRow"])

    def test_a_stock_leg_is_skipped_and_the_option_legs_are_read(self):
        assert len(order(parent(legs=[*LEGS, leg("SPY", asset_class="us_equity", position_intent=None)])).fills) == 4

    @pytest.mark.parametrize("junk", [None, 5, "row", [], {}, {"legs": 5}, {"id": [], "legs": [None]}])
    def test_the_other_rows_are_read_if_one_cannot_be(self, junk):
        assert len(order_history.page([junk, parent()], [].append).orders) == 1

    def test_an_element_that_is_not_an_object_is_counted(self):
        assert refused(None, 5, parent(), []) == ["orderRow"] * 3

    @pytest.mark.parametrize("answer", [None, {}, "", 3])
    def test_an_answer_that_is_not_a_list_is_refused(self, answer):
        with pytest.raises(TypeError, match="not as a list"):
            order_history.page(answer, [].append)

    JSON = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.none(), max_size=1)

    @pytest.mark.slow
    @given(
        st.lists(
            st.dictionaries(st.sampled_from(sorted(parent())), JSON).map(lambda fields: parent() | fields)
            | st.dictionaries(st.sampled_from(sorted(leg())), JSON).map(lambda fields: parent(legs=[leg() | fields])),
            max_size=3,
        )
    )
    def test_rows_never_raise(self, answer):
        for read in order_history.page(answer, [].append).orders:
            assert read.fills
            assert read.filled_at.tzinfo is dt.UTC


class TestPages:
    def test_the_next_page_begins_at_the_newest_order_of_any_kind(self):
        stock = leg("SPY", submitted_at="2026-11-19T18:00:00Z")
        read = order_history.page([parent(), stock], [].append)
        assert read.newest_at == dt.datetime(2026, 11, 19, 18, 0, tzinfo=dt.UTC)
        assert not read.is_full

    def test_the_creation_replaces_a_missing_submission(self):
        assert (
            order_history.page([parent(submitted_at=None, created_at=SUBMITTED)], [].append).newest_at == SUBMITTED_AT
        )

    @pytest.mark.parametrize("submitted", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
    def test_an_instant_in_the_first_or_last_year_of_datetime_is_ignored(self, submitted):
        assert order_history.page([parent(submitted_at=submitted)], [].append).newest_at is None

    @pytest.mark.parametrize("status", [None, 5, ["filled"], {}])
    def test_an_order_with_an_unreadable_status_may_still_fill(self, status):
        assert order_history.page([parent(status=status)], [].append).open_since == SUBMITTED_AT

    def test_an_empty_page_has_no_orders_and_no_instants(self):
        assert order_history.page([], [].append) == NO_ORDERS

    def test_a_page_with_as_many_rows_as_requested_is_full(self):
        assert order_history.page([None] * 500, [].append).is_full
        assert not order_history.page([None] * 499, [].append).is_full

    @pytest.mark.parametrize("status", ["new", "partially_filled", "accepted", "held", "something new"])
    def test_open_since_is_the_oldest_option_order_that_may_still_fill(self, status):
        rows = [
            leg("SPY", status="new", submitted_at="2026-11-01T00:00:00Z"),
            parent(status=status),
            parent(status=status, submitted_at="2026-11-19T18:00:00Z"),
        ]
        assert order_history.page(rows, [].append).open_since == SUBMITTED_AT

    @pytest.mark.parametrize("status", ["filled", "canceled", "expired", "replaced", "rejected"])
    def test_an_order_that_has_ended_is_not_open(self, status):
        assert order_history.page([parent(status=status)], [].append).open_since is None


def page(*orders, newest_at=None, open_since=None, is_full=False):
    return OrderPage(orders=orders, newest_at=newest_at, open_since=open_since, is_full=is_full)


def partial(id_="one", legs=None, **fields):
    """An order for two of which one is filled: Alpaca has no instant of that."""
    legs = legs or [one | {"filled_at": None, "qty": "2"} for one in LEGS]
    fields = {"status": "partially_filled", "updated_at": UPDATED, **fields}
    return parent(id_, legs, qty="2", filled_at=None, **fields)


def fills(at, legs=LEGS, number=1, quantity=1):
    """The FILL activities of `legs` at one instant."""
    return [
        Activity(
            id=f"{number}::{one['id']}",
            kind="FILL",
            symbol=one["symbol"],
            quantity=quantity if one["side"] == "buy" else -quantity,
            at=at,
            day=at.date(),
            order_id=one["id"],
        )
        for one in legs
    ]


CONDOR_ORDER = order(parent())
NOW_AT = STARTED_AT


def closing(id_="two"):
    flip = {"buy_to_open": "sell_to_close", "sell_to_open": "buy_to_close"}
    legs = [one | {"position_intent": flip[one["position_intent"]]} for one in LEGS]
    return order(parent(id_, legs, filled_at="2026-11-20T14:00:00Z"))


def take(known, read, open_since, now_at):
    """Add a page of a reading that began 400 days back."""
    return known.take(read, NOW_AT - 400 * DAY, open_since, now_at)


class TestHistory:
    def test_a_first_reading_reaches_four_hundred_days_back(self):
        assert OrderHistory().begin(NOW_AT) == NOW_AT - 400 * DAY

    def test_a_later_reading_begins_an_hour_before_the_newest_order(self):
        known = OrderHistory()
        take(known, page(newest_at=NOW_AT - 2 * DAY), None, NOW_AT)
        assert known.begin(NOW_AT) == NOW_AT - 2 * DAY - HOUR

    def test_a_later_reading_begins_before_the_oldest_open_order(self):
        known = OrderHistory()
        take(known, page(newest_at=NOW_AT), NOW_AT - 30 * DAY, NOW_AT)
        assert known.begin(NOW_AT) == NOW_AT - 30 * DAY - HOUR

    def test_an_order_that_seems_open_for_over_a_hundred_days_is_ignored(self):
        known = OrderHistory()
        take(known, page(newest_at=NOW_AT), NOW_AT - 300 * DAY, NOW_AT)
        assert known.begin(NOW_AT) == NOW_AT - 100 * DAY - HOUR

    def test_a_saved_mark_in_the_future_is_ignored(self):
        known = OrderHistory()
        known.recall(SavedOrders(mark=NOW_AT + DAY, read_from=NOW_AT - 400 * DAY, marks_partial=True, orders=()))
        assert known.begin(NOW_AT) == NOW_AT - HOUR

    def test_an_empty_page_changes_nothing(self):
        known = OrderHistory()
        take(known, page(newest_at=NOW_AT - DAY), None, NOW_AT)
        assert not take(known, NO_ORDERS, None, NOW_AT)
        assert known.begin(NOW_AT) == NOW_AT - DAY - HOUR

    def test_an_opened_condor_is_a_lot_until_it_is_closed(self):
        known = OrderHistory()
        assert take(known, page(CONDOR_ORDER), None, NOW_AT)
        (lot,) = lots(known.orders)
        assert (lot.opened_at, {one.symbol for one in lot.legs}) == (FILLED_AT, set(CONDOR))
        take(known, page(closing()), None, NOW_AT)
        assert lots(known.orders) == ()

    def test_orders_are_sorted_oldest_first(self):
        known = OrderHistory()
        take(known, page(closing()), None, NOW_AT)
        take(known, page(CONDOR_ORDER), None, NOW_AT)
        assert [order.id for order in known.orders] == ["one", "two"]

    def test_an_unchanged_order_is_not_new(self):
        known = OrderHistory()
        take(known, page(CONDOR_ORDER), None, NOW_AT)
        assert not take(known, page(CONDOR_ORDER), None, NOW_AT)

    def test_an_order_that_has_filled_more_replaces_its_earlier_state(self):
        known = OrderHistory()
        take(known, page(CONDOR_ORDER), None, NOW_AT)
        take(known, page(order(parent(legs=[one | {"filled_qty": "3"} for one in LEGS]))), None, NOW_AT)
        assert [lot.quantity for lot in lots(known.orders)] == [3]

    def test_a_chain_of_replacements_is_one_lot_even_if_one_order_filled_nothing(self):
        known = OrderHistory()
        first = parent("one", legs=[one | {"filled_qty": "4"} for one in LEGS], status="replaced", replaced_by="two")
        second = parent("two", legs=[one | {"filled_qty": "0"} for one in LEGS], status="replaced", replaces="one")
        third = parent("three", legs=[one | {"filled_qty": "6"} for one in LEGS], replaces="two")
        for row in (third, first, second):
            take(known, order_history.page([row], [].append), None, NOW_AT)
        assert [(lot.id, lot.quantity) for lot in lots(known.orders)] == [("one", 10)]
        later = OrderHistory()
        later.recall(known.to_save(NOW_AT))
        assert lots(later.orders) == lots(known.orders)

    def test_a_link_in_one_direction_is_enough(self):
        known = OrderHistory()
        first = parent("one", status="replaced", replaced_by="two")
        take(known, order_history.page([first, parent("two")], [].append), None, NOW_AT)
        assert [(lot.id, lot.quantity) for lot in lots(known.orders)] == [("one", 2)]

    def test_a_cycle_of_replacements_ends(self):
        known = OrderHistory()
        rows = [parent("one", replaces="two"), parent("two", replaces="one")]
        take(known, order_history.page(rows, [].append), None, NOW_AT)
        assert sum(lot.quantity for lot in lots(known.orders)) == 2

    def test_the_first_order_of_a_chain_is_known_by_any_later_one(self):
        known = OrderHistory()
        rows = [parent("one"), parent("two", replaces="one"), parent("three", replaces="two"), parent("four")]
        take(known, order_history.page(rows, [].append), None, NOW_AT)
        assert [known.origin(id_) for id_ in ("one", "two", "three", "four", "five")] == [
            "one",
            "one",
            "one",
            "four",
            "five",
        ]

    def test_links_between_stock_orders_are_ignored(self):
        stock = leg("SPY", id="b", replaces="a", replaced_by="c")
        assert order_history.page([stock], [].append).replaced == {}

    def test_saved_orders_do_not_overwrite_newer_ones(self):
        known, before = OrderHistory(), OrderHistory()
        take(before, page(CONDOR_ORDER, newest_at=NOW_AT - DAY), None, NOW_AT)
        more = order(parent(legs=[one | {"filled_qty": "3"} for one in LEGS]))
        take(known, page(more, newest_at=NOW_AT), None, NOW_AT)
        known.recall(before.to_save(NOW_AT))
        assert [lot.quantity for lot in lots(known.orders)] == [3]
        assert known.begin(NOW_AT) == NOW_AT - HOUR

    def test_saved_orders_are_recalled(self):
        known, later = OrderHistory(), OrderHistory()
        take(known, page(CONDOR_ORDER, newest_at=SUBMITTED_AT), None, NOW_AT)
        later.recall(known.to_save(NOW_AT))
        assert lots(later.orders) == lots(known.orders)
        assert later.begin(NOW_AT) == known.begin(NOW_AT)

    def test_orders_older_than_a_first_reading_reaches_are_not_saved(self):
        known = OrderHistory()
        take(known, page(CONDOR_ORDER), None, NOW_AT)
        assert known.to_save(FILLED_AT + 400 * DAY).orders == ()

    def test_a_saved_order_without_a_time_zone_is_dropped(self):
        fill = Fill(symbol=LONG_PUT, contract=CONDOR_ORDER.fills[0].contract, quantity=1, price_e6=1, opens=True)
        naive = Order(id="naive", filled_at=FILLED_AT.replace(tzinfo=None), fills=(fill,))
        known = OrderHistory()
        known.recall(SavedOrders(mark=None, orders=(naive, CONDOR_ORDER)))
        assert len(lots(known.orders)) == 1


class TestPartialFills:
    """An order for two condors, of which Alpaca's orders do not show when one was filled."""

    TRUE_AT = dt.datetime(2026, 11, 19, 20, 30, tzinfo=dt.UTC)

    def known(self, *rows):
        known = OrderHistory()
        take(known, order_history.page([*rows], [].append), None, NOW_AT)
        return known

    def at(self, known, id_="one"):
        return {each.id: each.filled_at for each in known.orders}[id_]

    @pytest.mark.parametrize("status", ["partially_filled", "canceled", "expired", "replaced"])
    def test_activities_date_a_partial_fill(self, status):
        known = self.known(partial(status=status))
        assert self.at(known) == UPDATED_AT
        assert known.take_activities(fills(self.TRUE_AT))
        assert self.at(known) == self.TRUE_AT
        assert [lot.opened_at for lot in lots(known.orders)] == [self.TRUE_AT]

    def test_activities_that_were_read_before_the_order_date_its_fill_too(self):
        known = OrderHistory()
        known.take_activities(fills(self.TRUE_AT))
        take(known, order_history.page([partial()], [].append), None, NOW_AT)
        assert self.at(known) == self.TRUE_AT

    def test_activities_that_account_for_a_part_of_its_fills_do_not(self):
        known = self.known(partial())
        assert not known.take_activities(fills(self.TRUE_AT, LEGS[:3]))
        assert self.at(known) == UPDATED_AT
        assert known.take_activities(fills(self.TRUE_AT, LEGS[3:]))
        assert self.at(known) == self.TRUE_AT

    def test_a_partial_fill_has_the_time_of_its_last_execution(self):
        legs = [one | {"filled_at": None, "filled_qty": "2", "qty": "3"} for one in LEGS]
        known = self.known(partial(legs=legs))
        known.take_activities([*fills(self.TRUE_AT, number=2), *fills(self.TRUE_AT - HOUR, number=1)])
        assert self.at(known) == self.TRUE_AT

    def test_the_same_activities_again_change_nothing(self):
        known = self.known(partial())
        known.take_activities(fills(self.TRUE_AT))
        assert not known.take_activities(fills(self.TRUE_AT))
        assert not take(known, order_history.page([partial()], [].append), None, NOW_AT)

    def test_other_activities_change_nothing(self):
        known = self.known(partial())
        fee = Activity(id="fee", kind="FEE", symbol="", quantity=0, at=self.TRUE_AT, day=self.TRUE_AT.date())
        assert not known.take_activities(
            [fee, *(msgspec.structs.replace(row, order_id=None) for row in fills(self.TRUE_AT))]
        )

    def test_the_instant_of_an_order_that_is_filled_completely_is_its_own(self):
        known = self.known(parent())
        assert not known.take_activities(fills(self.TRUE_AT))
        assert self.at(known) == FILLED_AT

    def test_an_order_that_is_filled_completely_has_its_own_instant(self):
        known = self.known(partial())
        known.take_activities(fills(self.TRUE_AT))
        take(known, order_history.page([parent(filled_at="2026-11-20T15:00:00Z")], [].append), None, NOW_AT)
        assert self.at(known) == UPDATED_AT + HOUR

    def test_the_cancellation_of_the_rest_does_not_date_an_order(self):
        known = self.known(partial())
        ended = partial(status="canceled", updated_at="2026-11-20T20:00:00Z")
        take(known, order_history.page([ended], [].append), None, NOW_AT)
        assert self.at(known) == UPDATED_AT

    def test_more_fills_have_a_later_instant(self):
        known = self.known(partial())
        known.take_activities(fills(self.TRUE_AT))
        legs = [one | {"filled_at": None, "filled_qty": "2"} for one in LEGS]
        take(known, order_history.page([partial(legs=legs)], [].append), None, NOW_AT)
        assert self.at(known) == UPDATED_AT
        known.take_activities(fills(self.TRUE_AT + HOUR, number=2))
        assert self.at(known) == self.TRUE_AT + HOUR

    def test_less_than_a_second_is_not_another_instant(self):
        known = self.known(partial())
        assert not known.take_activities(fills(UPDATED_AT - dt.timedelta(milliseconds=40)))
        assert self.at(known) == UPDATED_AT

    def test_another_run_knows_the_instant_before_it_has_read_activities(self):
        known, later = self.known(partial()), OrderHistory()
        known.take_activities(fills(self.TRUE_AT))
        later.recall(known.to_save(NOW_AT))
        assert self.at(later) == self.TRUE_AT
        take(later, order_history.page([partial(status="canceled")], [].append), None, NOW_AT)
        assert self.at(later) == self.TRUE_AT

    def test_orders_saved_by_an_earlier_version_are_read_again_and_dated(self):
        known = self.known(partial())
        wrong = [msgspec.structs.replace(each, filled_at=SUBMITTED_AT, is_partial=False) for each in known.orders]
        old = msgspec.structs.replace(known.to_save(NOW_AT), mark=NOW_AT, orders=tuple(wrong), marks_partial=False)
        later = OrderHistory()
        later.recall(old)
        assert (self.at(later), later.begin(NOW_AT)) == (SUBMITTED_AT, NOW_AT - 400 * DAY)
        later.take_activities(fills(self.TRUE_AT))
        take(later, order_history.page([partial()], [].append), None, NOW_AT)
        assert self.at(later) == self.TRUE_AT

    def test_names_of_condors_do_not_change_with_their_instants(self):
        """The second of two condors of the same strikes was opened first, as it turns out."""
        second = [one | {"id": f"second-{one['id']}"} for one in LEGS]
        part = [one | {"filled_at": None, "qty": "2"} for one in second]
        known = self.known(parent(), partial("two", part))
        held = {symbol: (2 if symbol in (LONG_PUT, LONG_CALL) else -2) for symbol in CONDOR}
        before = self.named(known, held, {})
        assert {name.lot: name.number for name in before.values()} == {"one": 1, "two": 2}
        known.take_activities(fills(SUBMITTED_AT - DAY, second))
        assert [lot.id for lot in lots(known.orders)] == ["two", "one"]
        assert self.named(known, held, before) == before

    def named(self, known, held, names):
        positions = [
            Position(
                symbol=symbol,
                contract=parse(symbol),
                quantity=quantity,
                average_entry_e4=10_000,
                cost_basis_e4=1_000_000 * quantity,
                underlying="SPY",
            )
            for symbol, quantity in held.items()
        ]
        return group(positions, lots(known.orders), names).names

    @pytest.mark.parametrize("is_dated", [False, True])
    def test_a_condor_that_is_closed_before_the_rest_of_its_order_ends_is_closed_once_it_is_dated(self, is_dated):
        legs = [one | {"id": f"opening-{one['id']}", "filled_at": None} for one in LEGS]
        known = self.known(partial(legs=legs, status="canceled", updated_at="2026-11-20T20:00:00Z"))
        take(known, page(closing()), None, NOW_AT)
        if is_dated:
            known.take_activities(fills(self.TRUE_AT, legs))
        assert (lots(known.orders) == ()) is is_dated


class TestReach:
    @pytest.mark.parametrize(("keep_days", "days"), [(0, 400), (30, 400), (800, 800), (10**9, 10_000)])
    def test_a_first_reading_reaches_as_far_as_history_is_kept_and_at_least_400_days(self, keep_days, days):
        assert OrderHistory(lambda: keep_days).begin(NOW_AT) == NOW_AT - days * DAY

    def test_all_are_read_again_once_if_history_is_to_be_kept_longer(self):
        keep_days = 400
        known = OrderHistory(lambda: keep_days)
        take(known, page(CONDOR_ORDER, newest_at=NOW_AT), None, NOW_AT)
        assert known.begin(NOW_AT) == NOW_AT - HOUR
        keep_days = 800
        assert known.begin(NOW_AT) == NOW_AT - 800 * DAY
        known.take(page(newest_at=NOW_AT), NOW_AT - 800 * DAY, None, NOW_AT)
        assert known.begin(NOW_AT) == NOW_AT - HOUR
        assert len(lots(known.orders)) == 1

    def test_time_that_passes_is_not_a_reason_to_read_again(self):
        known = OrderHistory()
        take(known, page(newest_at=NOW_AT), None, NOW_AT)
        assert known.begin(NOW_AT + 30 * DAY) == NOW_AT - HOUR

    @pytest.mark.parametrize(("keep_days", "count"), [(0, 1), (400, 0), (800, 1)])
    def test_known_orders_are_saved_as_long_as_history_is_kept(self, keep_days, count):
        known = OrderHistory(lambda: keep_days)
        take(known, page(CONDOR_ORDER), None, NOW_AT)
        assert len(known.to_save(FILLED_AT + 500 * DAY).orders) == count


class Harness:
    """A reader with a fake brokerage and its files in the directory `path`."""

    def __init__(self, path=None):
        self.brokerage = FakeBrokerage()
        self.store = Store(path, account="A")
        self.learned = 0
        self.reader = OrderReader(brokerage=self.brokerage, now_at=wall, learned=self._count, keep_days=lambda: 400)

    def _count(self):
        self.learned += 1

    @property
    def asked(self):
        """The instants after which orders were requested."""
        return [after for _, _, after in self.brokerage.asked]

    def serve(self, count, size=2):
        """Serve `count` orders, a minute apart, in pages of `size`; the last is a condor."""
        at = [NOW_AT - count * DAY / 1440 + number * DAY / 1440 for number in range(count)]

        def pages(after):
            due = [number for number in range(count) if at[number] > after][:size]
            return page(
                *(CONDOR_ORDER for number in due if number == count - 1),
                newest_at=at[due[-1]] if due else None,
                is_full=len(due) == size,
            )

        self.brokerage.pages = pages
        return at


def run_scenario(test, path=None):
    async def main():
        harness = Harness(path)
        try:
            await harness.reader.recall(harness.store)
            await test(harness)
        finally:
            harness.store.close()

    run(main())


class TestReader:
    def test_an_order_dated_by_activities_is_reported_and_saved(self, tmp_path):
        async def first(harness):
            harness.brokerage.pages = lambda after: order_history.page([partial()], [].append)
            await harness.reader.read()
            learned = harness.learned
            await harness.reader.take_activities(fills(TestPartialFills.TRUE_AT))
            await harness.reader.take_activities(fills(TestPartialFills.TRUE_AT))
            assert harness.learned == learned + 1

        async def second(harness):
            assert [each.filled_at for each in harness.reader.history.orders] == [TestPartialFills.TRUE_AT]

        run_scenario(first, tmp_path)
        run_scenario(second, tmp_path)

    def test_all_pages_up_to_the_newest_order_are_read(self):
        @run_scenario
        async def _(harness):
            at = harness.serve(5, size=3)
            await harness.reader.read()
            microsecond = dt.timedelta(microseconds=1)
            assert harness.asked == [wall() - 400 * DAY, at[2] - microsecond, at[4] - microsecond]
            assert len(lots(harness.reader.history.orders)) == 1

    def test_a_reading_ends_after_twenty_pages_and_the_next_one_goes_on(self):
        @run_scenario
        async def _(harness):
            harness.serve(300, size=11)
            await harness.reader.read()
            assert (len(harness.asked), lots(harness.reader.history.orders)) == (20, ())
            await harness.reader.read()
            assert len(lots(harness.reader.history.orders)) == 1

    def test_a_full_page_without_newer_orders_ends_the_reading(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.pages = lambda after: page(newest_at=NOW_AT - DAY, is_full=True)
            await harness.reader.read()
            assert len(harness.asked) == 2

    def test_a_reading_without_new_orders_is_not_reported(self):
        @run_scenario
        async def _(harness):
            harness.serve(1)
            await harness.reader.read()
            before = harness.learned
            await harness.reader.read()
            assert harness.learned == before

    @pytest.mark.parametrize("fails", [False, True])
    def test_the_end_of_the_first_reading_is_reported_also_if_it_failed(self, fails):
        @run_scenario
        async def _(harness):
            if fails:
                harness.brokerage.failures["orders"] = OUTAGE
            assert not harness.reader.was_tried
            for _ in range(2):
                with pytest.raises(RestFault) if fails else contextlib.nullcontext():
                    await harness.reader.read()
            assert (harness.reader.was_tried, harness.learned) == (True, 1)

    def test_a_reading_with_the_previous_key_does_not_count(self):
        @run_scenario
        async def _(harness):
            harness.reader.set_aside()
            await harness.reader.read()
            assert (harness.reader.was_tried, harness.learned) == (False, 0)

    def test_pages_read_before_an_outage_are_saved(self, tmp_path):
        async def first(harness):
            harness.serve(4)
            pages = harness.brokerage.pages

            def failing(after):
                if len(harness.asked) == 3:
                    raise OUTAGE
                return pages(after)

            harness.brokerage.pages = failing
            with pytest.raises(RestFault):
                await harness.reader.read()

        async def second(harness):
            at = harness.serve(4)
            await harness.reader.read()
            assert harness.asked[0] == at[2] - HOUR

        run_scenario(first, tmp_path)
        run_scenario(second, tmp_path)

    def test_another_run_knows_the_lots_before_its_first_request(self, tmp_path):
        async def first(harness):
            harness.serve(1)
            await harness.reader.read()

        async def second(harness):
            harness.brokerage.failures["orders"] = OUTAGE
            assert harness.learned == 1
            with pytest.raises(RestFault):
                await harness.reader.read()
            assert len(lots(harness.reader.history.orders)) == 1
            assert harness.asked[0] > NOW_AT - DAY

        run_scenario(first, tmp_path)
        run_scenario(second, tmp_path)

    def test_orders_saved_without_ids_of_legs_count_until_all_are_read_again_once(self, tmp_path):
        fills = tuple(msgspec.structs.replace(fill, leg_id=None) for fill in CONDOR_ORDER.fills)
        old = {"mark": NOW_AT - DAY, "orders": [msgspec.structs.replace(CONDOR_ORDER, fills=fills)], "replaced": {}}

        async def upgraded(harness):
            await harness.store.write("orders", old)
            await harness.reader.recall(harness.store)
            assert len(lots(harness.reader.history.orders)) == 1
            harness.serve(1)
            await harness.reader.read()
            assert harness.asked == [wall() - 400 * DAY]
            assert [fill.leg_id for fill in harness.reader.history.orders[0].fills] == [one["id"] for one in LEGS]

        async def restarted(harness):
            await harness.reader.read()
            assert harness.asked[0] > NOW_AT - DAY

        run_scenario(upgraded, tmp_path)
        run_scenario(restarted, tmp_path)

    def test_an_open_order_of_an_earlier_page_is_read_again(self):
        @run_scenario
        async def _(harness):
            def pages(after):
                if after < NOW_AT - 2 * DAY:
                    return page(newest_at=NOW_AT - 2 * DAY, open_since=NOW_AT - 3 * DAY, is_full=True)
                return page(newest_at=NOW_AT - DAY)

            harness.brokerage.pages = pages
            await asyncio.wait_for(harness.reader.read(), 1.0)
            await harness.reader.read()
            assert harness.asked[-1] <= NOW_AT - 2 * DAY
            assert NOW_AT - 3 * DAY - HOUR in harness.asked
