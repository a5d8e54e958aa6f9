import asyncio
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.core.orders import Fill, Order
from condord.upstream import history
from condord.upstream.faults import RestFault
from condord.upstream.history import History, HistoryReader, Kept
from condord.upstream.ports import OrderPage
from condord.upstream.store import Store
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


def parent(identity="one", legs=LEGS, **fields):
    return {
        "id": identity,
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
    """The order of one row; None where it is left out."""
    found = history.page([row], [].append).orders
    return found[0] if found else None


def refused(*rows):
    """What is counted of some rows."""
    names = []
    history.page(list(rows), names.append)
    return names


class TestRows:
    def test_a_multi_leg_order_has_a_fill_for_each_leg(self):
        read = order(parent())
        assert (read.id, read.filled_at) == ("one", FILLED_AT)
        assert [(fill.symbol, fill.quantity, fill.price_e4, fill.opens) for fill in read.fills] == [
            (LONG_PUT, 1, 12_100, True),
            (SHORT_PUT, -1, 24_000, True),
            (SHORT_CALL, -1, 22_600, True),
            (LONG_CALL, 1, 11_000, True),
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

    def test_an_order_of_a_single_option_counts_too(self):
        read = order(leg(intent="buy_to_close", order_class="simple"))
        assert [(fill.symbol, fill.quantity, fill.opens) for fill in read.fills] == [(SHORT_PUT, 1, False)]

    @pytest.mark.parametrize("status", ["canceled", "expired", "replaced", "partially_filled"])
    def test_what_was_filled_counts_whatever_became_of_the_rest(self, status):
        read = order(parent(status=status, qty="5", filled_at=None))
        assert [abs(fill.quantity) for fill in read.fills] == [1, 1, 1, 1]
        assert read.filled_at == FILLED_AT

    def test_one_without_any_instant_of_a_fill_counts_from_its_submission(self):
        assert order(parent(legs=[leg(filled_at=None)], filled_at=None)).filled_at == SUBMITTED_AT

    @pytest.mark.parametrize("quantity", ["0", "0.0", 0, None, ""])
    def test_a_leg_that_has_filled_nothing_is_left_out(self, quantity):
        assert [fill.symbol for fill in order(parent(legs=[LEGS[0], leg(quantity=quantity)])).fills] == [LONG_PUT]

    @pytest.mark.parametrize(
        "row",
        [
            parent(legs=[leg(quantity="0")], status="canceled"),
            parent(legs=[leg("SPY")]),
            parent(legs=[]),
            leg("SPY", asset_class="us_equity", quantity="0.5"),
        ],
        ids=["nothing filled", "a stock leg alone", "no legs", "a stock"],
    )
    def test_an_order_that_has_filled_no_option_is_left_out(self, row):
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
    def test_an_order_that_does_not_tell_all_is_left_out_and_counted(self, row):
        assert (order(row), refused(row)) == (None, ["orderRow"])

    def test_a_stock_beside_options_is_left_out_alone(self):
        assert len(order(parent(legs=[*LEGS, leg("SPY", asset_class="us_equity", position_intent=None)])).fills) == 4

    @pytest.mark.parametrize("junk", [None, 5, "row", [], {}, {"legs": 5}, {"id": [], "legs": [None]}])
    def test_a_row_that_cannot_be_read_costs_nothing_else(self, junk):
        assert len(history.page([junk, parent()], [].append).orders) == 1

    def test_an_element_that_is_no_row_is_counted(self):
        assert refused(None, 5, parent(), []) == ["orderRow"] * 3

    @pytest.mark.parametrize("answer", [None, {}, "", 3])
    def test_an_answer_that_is_no_list_is_refused(self, answer):
        with pytest.raises(TypeError, match="not as a list"):
            history.page(answer, [].append)

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
        for read in history.page(answer, [].append).orders:
            assert read.fills
            assert read.filled_at.tzinfo is dt.UTC


class TestPages:
    def test_the_newest_order_of_any_kind_tells_where_to_go_on(self):
        stock = leg("SPY", submitted_at="2026-11-19T18:00:00Z")
        read = history.page([parent(), stock], [].append)
        assert read.newest_at == dt.datetime(2026, 11, 19, 18, 0, tzinfo=dt.UTC)
        assert not read.is_full

    def test_an_order_that_was_not_submitted_counts_from_its_creation(self):
        assert history.page([parent(submitted_at=None, created_at=SUBMITTED)], [].append).newest_at == SUBMITTED_AT

    @pytest.mark.parametrize("submitted", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
    def test_an_instant_at_an_end_of_the_calendar_is_none(self, submitted):
        assert history.page([parent(submitted_at=submitted)], [].append).newest_at is None

    @pytest.mark.parametrize("status", [None, 5, ["filled"], {}])
    def test_a_status_that_is_no_text_may_still_fill(self, status):
        assert history.page([parent(status=status)], [].append).open_since == SUBMITTED_AT

    def test_nothing_tells_nothing(self):
        assert history.page([], [].append) == NO_ORDERS

    def test_as_many_as_were_asked_for_are_a_full_page(self):
        assert history.page([None] * 500, [].append).is_full
        assert not history.page([None] * 499, [].append).is_full

    @pytest.mark.parametrize("status", ["new", "partially_filled", "accepted", "held", "something new"])
    def test_the_oldest_option_order_that_may_still_fill_is_told(self, status):
        rows = [
            leg("SPY", status="new", submitted_at="2026-11-01T00:00:00Z"),
            parent(status=status),
            parent(status=status, submitted_at="2026-11-19T18:00:00Z"),
        ]
        assert history.page(rows, [].append).open_since == SUBMITTED_AT

    @pytest.mark.parametrize("status", ["filled", "canceled", "expired", "replaced", "rejected"])
    def test_one_that_has_ended_is_not_waited_for(self, status):
        assert history.page([parent(status=status)], [].append).open_since is None


def page(*orders, newest_at=None, open_since=None, is_full=False):
    return OrderPage(orders=orders, newest_at=newest_at, open_since=open_since, is_full=is_full)


CONDOR_ORDER = order(parent())
NOW_AT = STARTED_AT


def closing(identity="two"):
    flip = {"buy_to_open": "sell_to_close", "sell_to_open": "buy_to_close"}
    legs = [one | {"position_intent": flip[one["position_intent"]]} for one in LEGS]
    return order(parent(identity, legs, filled_at="2026-11-20T14:00:00Z"))


class TestHistory:
    def test_a_first_reading_reaches_four_hundred_days_back(self):
        assert History().begin(NOW_AT) == NOW_AT - 400 * DAY

    def test_a_later_one_begins_an_hour_before_the_newest_order(self):
        known = History()
        known.take(page(newest_at=NOW_AT - 2 * DAY), None, NOW_AT)
        assert known.begin(NOW_AT) == NOW_AT - 2 * DAY - HOUR

    def test_it_begins_before_the_oldest_order_that_is_still_open(self):
        known = History()
        known.take(page(newest_at=NOW_AT), NOW_AT - 30 * DAY, NOW_AT)
        assert known.begin(NOW_AT) == NOW_AT - 30 * DAY - HOUR

    def test_an_order_that_seems_open_for_ever_is_not_waited_for(self):
        known = History()
        known.take(page(newest_at=NOW_AT), NOW_AT - 300 * DAY, NOW_AT)
        assert known.begin(NOW_AT) == NOW_AT - 100 * DAY - HOUR

    def test_a_mark_in_the_future_is_not_believed(self):
        known = History()
        known.recall(Kept(mark=NOW_AT + DAY, orders=()))
        assert known.begin(NOW_AT) == NOW_AT - HOUR

    def test_an_empty_page_moves_nothing(self):
        known = History()
        known.take(page(newest_at=NOW_AT - DAY), None, NOW_AT)
        assert not known.take(NO_ORDERS, None, NOW_AT)
        assert known.begin(NOW_AT) == NOW_AT - DAY - HOUR

    def test_an_opened_condor_is_a_lot_until_it_is_closed(self):
        known = History()
        assert known.take(page(CONDOR_ORDER), None, NOW_AT)
        (lot,) = known.lots
        assert (lot.opened_at, {one.symbol for one in lot.legs}) == (FILLED_AT, set(CONDOR))
        known.take(page(closing()), None, NOW_AT)
        assert known.lots == ()

    def test_the_same_order_again_is_no_news(self):
        known = History()
        known.take(page(CONDOR_ORDER), None, NOW_AT)
        assert not known.take(page(CONDOR_ORDER), None, NOW_AT)

    def test_an_order_that_has_filled_more_since_replaces_itself(self):
        known = History()
        known.take(page(CONDOR_ORDER), None, NOW_AT)
        known.take(page(order(parent(legs=[one | {"filled_qty": "3"} for one in LEGS]))), None, NOW_AT)
        assert [lot.quantity for lot in known.lots] == [3]

    def test_what_is_kept_is_recalled(self):
        known, later = History(), History()
        known.take(page(CONDOR_ORDER, newest_at=SUBMITTED_AT), None, NOW_AT)
        later.recall(known.kept(NOW_AT))
        assert later.lots == known.lots
        assert later.begin(NOW_AT) == known.begin(NOW_AT)

    def test_what_is_older_than_a_first_reading_reaches_is_not_kept(self):
        known = History()
        known.take(page(CONDOR_ORDER), None, NOW_AT)
        assert known.kept(FILLED_AT + 400 * DAY).orders == ()

    def test_a_kept_order_without_a_zone_is_left_out(self):
        fill = Fill(symbol=LONG_PUT, contract=CONDOR_ORDER.fills[0].contract, quantity=1, price_e4=1, opens=True)
        naive = Order(id="naive", filled_at=FILLED_AT.replace(tzinfo=None), fills=(fill,))
        known = History()
        known.recall(Kept(mark=None, orders=(naive, CONDOR_ORDER)))
        assert len(known.lots) == 1


class Bench:
    """A reader before a brokerage, with the store at `place`."""

    def __init__(self, place=None):
        self.brokerage = FakeBrokerage()
        self.store = Store(place, account="A")
        self.learned = 0
        self.reader = HistoryReader(brokerage=self.brokerage, store=self.store, now_at=wall, learned=self._count)

    def _count(self):
        self.learned += 1

    @property
    def asked(self):
        """The instants after which orders were asked for."""
        return [after for _, _, after in self.brokerage.asked]

    def serve(self, count, size=2):
        """So many orders, a minute apart, `size` a page; the last is a condor."""
        at = [NOW_AT - count * DAY / 1440 + place * DAY / 1440 for place in range(count)]

        def pages(after):
            due = [place for place in range(count) if at[place] > after][:size]
            return page(
                *(CONDOR_ORDER for place in due if place == count - 1),
                newest_at=at[due[-1]] if due else None,
                is_full=len(due) == size,
            )

        self.brokerage.pages = pages
        return at


def play(test, place=None):
    async def whole():
        bench = Bench(place)
        try:
            await test(bench)
        finally:
            bench.store.close()

    run(whole())


class TestReader:
    def test_pages_are_read_up_to_the_newest_order(self):
        @play
        async def _(bench):
            at = bench.serve(5, size=3)
            await bench.reader.read()
            microsecond = dt.timedelta(microseconds=1)
            assert bench.asked == [wall() - 400 * DAY, at[2] - microsecond, at[4] - microsecond]
            assert len(bench.reader.history.lots) == 1

    def test_a_reading_is_bounded_and_the_next_one_goes_on(self):
        @play
        async def _(bench):
            bench.serve(300, size=11)
            await bench.reader.read()
            assert (len(bench.asked), bench.reader.history.lots) == (20, ())
            await bench.reader.read()
            assert len(bench.reader.history.lots) == 1

    def test_a_full_page_that_leads_nowhere_ends_the_reading(self):
        @play
        async def _(bench):
            bench.brokerage.pages = lambda after: page(newest_at=NOW_AT - DAY, is_full=True)
            await bench.reader.read()
            assert len(bench.asked) == 2

    def test_nothing_new_is_told_to_nobody(self):
        @play
        async def _(bench):
            bench.serve(1)
            await bench.reader.read()
            await bench.reader.read()
            assert bench.learned == 1

    def test_the_pages_read_before_an_outage_are_kept(self, tmp_path):
        async def first(bench):
            bench.serve(4)
            pages = bench.brokerage.pages

            def failing(after):
                if len(bench.asked) == 3:
                    raise OUTAGE
                return pages(after)

            bench.brokerage.pages = failing
            with pytest.raises(RestFault):
                await bench.reader.read()

        async def second(bench):
            at = bench.serve(4)
            await bench.reader.read()
            assert bench.asked[0] == at[2] - HOUR

        play(first, tmp_path)
        play(second, tmp_path)

    def test_another_run_knows_the_lots_before_it_has_asked(self, tmp_path):
        async def first(bench):
            bench.serve(1)
            await bench.reader.read()

        async def second(bench):
            bench.brokerage.failures["orders"] = OUTAGE
            with pytest.raises(RestFault):
                await bench.reader.read()
            assert (len(bench.reader.history.lots), bench.learned) == (1, 1)
            assert bench.asked[0] > NOW_AT - DAY

        play(first, tmp_path)
        play(second, tmp_path)

    def test_an_open_order_of_an_earlier_page_is_waited_for(self):
        @play
        async def _(bench):
            def pages(after):
                if after < NOW_AT - 2 * DAY:
                    return page(newest_at=NOW_AT - 2 * DAY, open_since=NOW_AT - 3 * DAY, is_full=True)
                return page(newest_at=NOW_AT - DAY)

            bench.brokerage.pages = pages
            await asyncio.wait_for(bench.reader.read(), 1.0)
            await bench.reader.read()
            assert bench.asked[-1] <= NOW_AT - 2 * DAY
            assert NOW_AT - 3 * DAY - HOUR in bench.asked
