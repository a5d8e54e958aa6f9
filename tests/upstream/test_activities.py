import asyncio
import datetime as dt
from contextlib import closing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.core.activity import Activity, Split
from condord.upstream import activities
from condord.upstream.activities import BOOKINGS, FILLS, KEPT_FOR, PAST, Activities, ActivityReader
from condord.upstream.interfaces import ActivityPage
from condord.upstream.rest_fault import RestFault
from condord.upstream.state_files import Store
from tests.fakes.alpaca import NO_ACTIVITIES, OUTAGE, SHORT_PUT, STARTED_AT, FakeBrokerage, wall
from tests.virtualtime import run

MINUTE = dt.timedelta(minutes=1)
DAY = dt.date(2026, 11, 20)
FILLED = "2026-11-20T14:30:00.5Z"


def fill(**fields):
    defaults = {"activity_type": "FILL", "id": "1", "symbol": "SPY", "side": "buy", "qty": "100"}
    return {**defaults, "price": "582.1", "type": "partial_fill", "transaction_time": FILLED, **fields}


def booking(**fields):
    defaults = {"activity_type": "OPASN", "id": "2", "symbol": SHORT_PUT, "qty": "2", "date": "2026-11-19"}
    return {**defaults, "created_at": "2026-11-20T09:20:00Z", "net_amount": "0", "status": "executed", **fields}


def fee(**fields):
    defaults = {"activity_type": "FEE", "activity_sub_type": "OCC", "id": "3", "date": "2026-09-10"}
    created = {"created_at": "2026-09-10T17:11:45.526893Z", "execution_id": "1c71ce7f-8f7e"}
    return {**defaults, **created, "net_amount": "-0.03", "status": "executed", **fields}


def page(*rows, kinds=FILLS + BOOKINGS):
    refused = []
    return activities.page(list(rows), refused.append, kinds), refused


def known(number=0, kind="FILL", at=STARTED_AT):
    return Activity(id=f"{number}", kind=kind, symbol="SPY", quantity=1, at=at, day=at.date())


class TestPage:
    def test_a_fill_has_its_instant_and_the_day_at_the_exchange(self):
        (one,) = page(fill())[0].activities
        at = dt.datetime(2026, 11, 20, 14, 30, 0, 500_000, tzinfo=dt.UTC)
        wanted = Activity(id="1", kind="FILL", symbol="SPY", quantity=100, at=at, day=DAY, price_e6=582_100_000)
        assert one == wanted

    def test_a_fill_has_the_order_of_its_leg_and_the_execution_at_the_end_of_its_id(self):
        (one,) = page(fill(id="20260910131125217::1c71ce7f-8f7e", order_id="356c52d1"))[0].activities
        assert (one.order_id, one.execution_id) == ("356c52d1", "1c71ce7f-8f7e")

    def test_a_fee_names_the_execution_that_it_is_for_and_has_no_symbol(self):
        (one, other) = page(fee(), fee(execution_id=None, net_amount="-0.02"), kinds=PAST)[0].activities
        at = dt.datetime(2026, 9, 10, 17, 11, 45, 526_893, tzinfo=dt.UTC)
        assert one == Activity(
            id="3",
            kind="FEE",
            symbol="",
            quantity=0,
            at=at,
            day=dt.date(2026, 9, 10),
            amount_e4=-300,
            execution_id="1c71ce7f-8f7e",
        )
        assert (other.amount_e4, other.execution_id) == (-200, None)

    def test_delivered_shares_have_a_price_and_an_amount_and_a_cash_settlement_has_an_amount(self):
        shares = booking(activity_type="OPTRD", symbol="SPY", qty="-200", price="150", net_amount="30000")
        (one, other) = page(shares, booking(activity_type="OPCSH", net_amount="-412.5"))[0].activities
        assert (one.price_e6, one.amount_e4) == (150_000_000, 300_000_000)
        assert (other.price_e6, other.amount_e4) == (None, -4_125_000)

    def test_a_booking_that_was_canceled_did_not_take_place(self):
        assert page(booking(status="canceled"))[0].activities == ()

    @pytest.mark.parametrize("row", [fill(price="much"), booking(net_amount=[])])
    def test_a_row_with_an_unreadable_price_or_amount_is_kept_and_counted(self, row):
        read, refused = page(row)
        assert [(one.price_e6, one.amount_e4) for one in read.activities] == [(None, None)]
        assert refused == ["activityRow"]

    @pytest.mark.parametrize(("side", "sign"), [("buy", 1), ("sell", -1), ("sell_short", -1)])
    def test_the_side_gives_the_sign_of_a_fill(self, side, sign):
        assert page(fill(side=side))[0].activities[0].quantity == sign * 100

    @pytest.mark.parametrize("quantity", ["2", "-2"])
    def test_a_booking_has_the_day_of_its_date_and_no_sign(self, quantity):
        (one,) = page(booking(qty=quantity))[0].activities
        at = dt.datetime(2026, 11, 20, 9, 20, tzinfo=dt.UTC)
        day = dt.date(2026, 11, 19)
        assert one == Activity(id="2", kind="OPASN", symbol=SHORT_PUT, quantity=2, at=at, day=day, amount_e4=0)

    def test_a_booking_without_an_instant_gets_the_day_after_its_date(self):
        (one,) = page(booking(created_at=None))[0].activities
        assert one.at == dt.datetime(2026, 11, 20, tzinfo=dt.UTC)

    def test_a_split_without_a_quantity_has_the_quantity_0(self):
        assert page(booking(activity_type="SPLIT", symbol="SPY", qty=None))[0].activities[0].quantity == 0

    def test_padding_of_symbols_and_fractions_of_quantities_are_dropped(self):
        (one, other) = page(fill(qty="1.9"), booking(symbol="SPY   261218P00570000"))[0].activities
        assert (one.quantity, other.symbol) == (1, SHORT_PUT)

    @pytest.mark.parametrize("kind", ["DIV", "JNLC", "FEE", None, 3])
    def test_other_kinds_are_skipped_and_not_counted(self, kind):
        assert page(fill(activity_type=kind)) == (ActivityPage(activities=(), last_id="1", is_full=False), [])

    @pytest.mark.parametrize(
        "row",
        [
            "text",
            fill(id=None),
            fill(symbol=None),
            fill(side="neither"),
            fill(qty="many"),
            fill(transaction_time="soon"),
            booking(created_at=None, date="some day"),
        ],
    )
    def test_a_row_that_cannot_be_read_is_counted_and_the_others_are_read(self, row):
        read, refused = page(row, booking())
        assert (len(read.activities), refused) == (1, ["activityRow"])

    def test_a_page_with_as_many_rows_as_requested_is_full(self):
        assert page(*[fill()] * activities.ACTIVITIES_PER_PAGE)[0].is_full
        assert page()[0] == NO_ACTIVITIES

    def test_an_answer_that_is_not_a_list_is_a_type_error(self):
        with pytest.raises(TypeError):
            activities.page({}, [].append, FILLS)

    JSON = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.just([]) | st.just({})

    @given(
        st.lists(
            st.tuples(
                st.sampled_from([fill(order_id="4"), booking(), fee()]),
                st.dictionaries(st.sampled_from(sorted({**fill(), **fee()})), JSON),
            ).map(lambda pair: {**pair[0], **pair[1]})
            | JSON,
            max_size=4,
        )
    )
    def test_each_row_of_a_wanted_kind_is_read_or_counted(self, rows):
        read, refused = page(*rows, kinds=PAST)
        other = [row for row in rows if isinstance(row, dict) and (row.get("activity_type") not in (*PAST,))]
        canceled = [row for row in rows if isinstance(row, dict) and row.get("status") == "canceled"]
        assert len(rows) <= len(read.activities) + len(refused) + len(other) + len(canceled)
        assert all(one.at.tzinfo is dt.UTC and (one.symbol or one.kind == "FEE") for one in read.activities)


ROW = {"symbol": "SPY", "new_rate": 1, "old_rate": 10, "ex_date": "2026-11-20"}


class TestSplits:
    def test_forward_and_reverse_splits_are_read_oldest_first(self):
        forward = {"symbol": "QQQ", "new_rate": "4", "old_rate": "1", "ex_date": "2026-11-19"}
        answer = {"corporate_actions": {"reverse_splits": [ROW], "forward_splits": [forward]}}
        read = activities.splits(answer, [].append)
        assert [(split.symbol, float(split.ratio)) for split in read] == [("QQQ", 4.0), ("SPY", 0.1)]

    @pytest.mark.parametrize(
        "row",
        [None, {**ROW, "symbol": None}, {**ROW, "new_rate": 0}, {**ROW, "old_rate": "x"}, {**ROW, "ex_date": "?"}],
    )
    def test_a_row_that_cannot_be_read_is_counted(self, row):
        refused = []
        assert activities.splits({"corporate_actions": {"forward_splits": [row]}}, refused.append) == []
        assert refused == ["corporateActionRow"]

    @pytest.mark.parametrize("answer", [None, [], {}, {"corporate_actions": []}])
    def test_an_answer_without_actions_is_a_type_error(self, answer):
        with pytest.raises(TypeError):
            activities.splits(answer, [].append)


class TestActivities:
    def test_activities_are_distinct_and_oldest_first(self):
        recent = Activities()
        assert recent.take([known(1), known(0, at=STARTED_AT - MINUTE)], STARTED_AT)
        assert not recent.take([known(1)], STARTED_AT)
        assert [row.id for row in recent.known] == ["0", "1"]

    def test_two_kinds_with_one_id_are_both_kept(self):
        recent = Activities()
        recent.take([known(1, "OPASN"), known(1, "OPTRD")], STARTED_AT)
        assert len(recent.known) == 2

    def test_old_activities_are_dropped(self):
        recent = Activities()
        recent.take([known()], STARTED_AT)
        assert not recent.take([], STARTED_AT + KEPT_FOR)
        assert recent.known == ()

    def test_fills_are_read_from_an_hour_before_the_newest_and_bookings_from_ten_days_back(self):
        recent = Activities()
        assert recent.begin(FILLS, STARTED_AT) == recent.begin(BOOKINGS, STARTED_AT) == STARTED_AT - KEPT_FOR
        recent.take([known(), known(1, "OPASN")], STARTED_AT)
        assert recent.begin(FILLS, STARTED_AT + MINUTE) == STARTED_AT - 60 * MINUTE
        assert recent.begin(FILLS, STARTED_AT - MINUTE) == STARTED_AT - 61 * MINUTE
        assert recent.begin(BOOKINGS, STARTED_AT) == STARTED_AT - KEPT_FOR


class Harness:
    def __init__(self):
        self.brokerage = FakeBrokerage()
        self.learned = 0
        self.reader = ActivityReader(brokerage=self.brokerage, now_at=wall, learned=self.learn)

    def learn(self):
        self.learned += 1

    def serve(self, *pages):
        """Serve these pages of fills, each a pair of the token it needs (unused for the first) and the page."""
        left = {None if number == 0 else token: page for number, (token, page) in enumerate(pages)}
        self.brokerage.activity_pages = lambda kinds, _after, token: left[token] if kinds == FILLS else NO_ACTIVITIES

    @property
    def asked(self):
        return [argument for what, _, argument in self.brokerage.asked if what == "activities"]


def full(*numbers, is_full=True):
    return ActivityPage(
        activities=tuple(known(number) for number in numbers), last_id=f"{numbers[-1]}", is_full=is_full
    )


class TestReader:
    def test_all_pages_of_fills_are_read_and_then_bookings(self):
        harness = Harness()
        harness.serve(("", full(0, 1)), ("1", full(2, is_full=False)))
        run(harness.reader.read())
        assert [row.id for row in harness.reader.activities] == ["0", "1", "2"]
        assert [(kinds, token) for kinds, _, token in harness.asked] == [(FILLS, None), (FILLS, "1"), (BOOKINGS, None)]
        assert harness.learned == 2

    def test_a_page_with_the_token_of_the_last_one_ends_the_reading(self):
        harness = Harness()
        harness.serve(("", full(1)), ("1", full(1)))
        run(harness.reader.read())
        assert [token for kinds, _, token in harness.asked if kinds == FILLS] == [None, "1"]

    def test_a_reading_ends_after_a_limited_number_of_pages(self):
        harness = Harness()
        harness.serve(*((f"{number - 1}", full(number)) for number in range(30)))
        run(harness.reader.read())
        assert len(harness.reader.activities) == activities.PAGES_PER_READING

    def test_pages_read_before_a_fault_are_kept(self):
        harness = Harness()

        def answer(_kinds, _after, token):
            if token is not None:
                raise OUTAGE
            return full(0)

        harness.brokerage.activity_pages = answer
        with pytest.raises(RestFault):
            run(harness.reader.read())
        assert [row.id for row in harness.reader.activities] == ["0"]

    def test_activities_are_saved_for_the_next_run(self, tmp_path):
        def reading(*, asks):
            async def read():
                harness = Harness()
                harness.serve(("", full(0, is_full=False)))
                with closing(Store(tmp_path, account="A")) as store:
                    await harness.reader.recall(store)
                    if asks:
                        await harness.reader.read()
                return harness

            return run(read())

        assert len(reading(asks=True).reader.activities) == 1
        harness = reading(asks=False)
        assert ([row.id for row in harness.reader.activities], harness.learned) == (["0"], 1)

    def test_splits_are_requested_once_a_day_and_for_new_symbols(self):
        async def read():
            harness = Harness()
            harness.brokerage.announced = [Split(symbol="SPY", new_shares="4", old_shares="1", day=DAY)]
            is_new = []
            for symbols in ((), ("SPY",), ("SPY",), ("QQQ", "SPY"), ("QQQ",)):
                is_new.append(harness.reader.watch_splits(symbols))
                await harness.reader.read()
            await asyncio.sleep(86_400)
            await harness.reader.read()
            return harness, is_new

        harness, is_new = run(read())
        assert is_new == [False, True, False, True, False]
        assert [argument[0] for what, _, argument in harness.brokerage.asked if what == "splits"] == [
            ("SPY",),
            ("QQQ", "SPY"),
            ("QQQ",),
        ]
        assert (len(harness.reader.splits), harness.learned) == (1, 1)
