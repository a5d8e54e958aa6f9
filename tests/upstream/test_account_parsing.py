import datetime as dt

import msgspec
import pytest
from hypothesis import given

from condord.core.account_summary import AccountSummary
from condord.core.day_pl import DayFill
from condord.upstream.account_parsing import (
    ROWS_PER_PAGE,
    account_summary,
    fills,
    fills_query,
    transfers_e4,
    transfers_query,
)
from tests.upstream.test_market_parsing import ODD, RefusedRows, with_other_values

DAY = dt.date(2026, 11, 20)
AT = dt.datetime(2026, 11, 20, 15, 30, tzinfo=dt.UTC)
ACCOUNT = {
    "id": "d66d53bc-6347-5c64-89bc-bf340553b3fa",
    "equity": "50123.4",
    "last_equity": "49980",
    "cash": "20111.2",
    "buying_power": "40222.4",
    "options_buying_power": "20111.2",
    "maintenance_margin": "7800",
}
DEPOSIT = {
    "activity_type": "CSD",
    "created_at": "2026-11-20T14:00:00Z",
    "date": "2026-11-20",
    "id": "20261120000000000::4b47d1d0",
    "net_amount": "1000.5",
    "status": "executed",
}
FILL = {
    "activity_type": "FILL",
    "cum_qty": "2",
    "id": "20261120101125217::a9d576c2",
    "leaves_qty": "0",
    "order_id": "e746a089",
    "order_status": "filled",
    "price": "9.41",
    "qty": "2",
    "side": "sell_short",
    "symbol": "SPY261218P00570000",
    "transaction_time": "2026-11-20T15:11:25.217586Z",
    "type": "fill",
}


def total_e4(*rows):
    """The sum of transfers, and what was refused."""
    refused = RefusedRows()
    return transfers_e4(list(rows), DAY, refused), refused


def page(*rows):
    """A page of fills, and what was refused."""
    refused = RefusedRows()
    return fills(list(rows), DAY, refused), refused


class TestBalances:
    def test_every_balance_is_exact_and_the_transfers_are_not_known_yet(self):
        assert account_summary(ACCOUNT, AT, RefusedRows()) == AccountSummary(
            read_at=AT,
            equity_e4=501_234_000,
            last_equity_e4=499_800_000,
            cash_e4=201_112_000,
            buying_power_e4=402_224_000,
            options_buying_power_e4=201_112_000,
            maintenance_margin_e4=78_000_000,
            transfers_e4=None,
        )

    def test_a_balance_that_alpaca_does_not_give_is_none(self):
        refused = RefusedRows()
        summary = account_summary({"equity": None}, AT, refused)
        assert (summary.equity_e4, summary.cash_e4, refused) == (None, None, [])

    @pytest.mark.parametrize("bad", ["", "many", "NaN", "1e99", [], True])
    def test_a_balance_that_cannot_be_read_is_none_and_counted(self, bad):
        refused = RefusedRows()
        summary = account_summary(ACCOUNT | {"equity": bad}, AT, refused)
        assert (summary.equity_e4, summary.cash_e4, refused) == (None, 201_112_000, ["balance"])

    def test_an_answer_that_is_not_an_object_is_refused(self):
        with pytest.raises(TypeError, match="list"):
            account_summary([ACCOUNT], AT, RefusedRows())

    @given(with_other_values(ACCOUNT))
    def test_every_balance_of_any_account_is_an_integer_or_none(self, answer):
        if isinstance(answer, dict):
            summary = account_summary(answer, AT, RefusedRows())
            balances = msgspec.structs.astuple(summary)[1:]
            assert all(value is None or isinstance(value, int) for value in balances)
            msgspec.json.encode(summary)


class TestTransfers:
    def test_transfers_are_requested_from_two_days_before(self):
        assert transfers_query(DAY) == {
            "activity_types": "CSD,CSW,JNLC",
            "after": "2026-11-18T05:00:00Z",
            "direction": "asc",
            "page_size": "100",
        }

    def test_without_transfers_the_sum_is_zero(self):
        assert total_e4() == (0, [])

    def test_deposits_add_withdrawals_subtract_and_journals_have_a_sign(self):
        withdrawal = DEPOSIT | {"activity_type": "CSW", "net_amount": "-300"}
        unsigned = DEPOSIT | {"activity_type": "CSW", "net_amount": "20"}
        journal = DEPOSIT | {"activity_type": "JNLC", "net_amount": "-50.25"}
        total = 10_005_000 - 3_000_000 - 200_000 - 502_500
        assert total_e4(DEPOSIT, withdrawal, unsigned, journal) == (total, [])

    @pytest.mark.parametrize(
        "other",
        [
            {"date": "2026-11-19"},
            {"date": "2026-11-21"},
            {"status": "canceled"},
            {"activity_type": "FEE"},
            {"date": None, "created_at": "2026-11-20T04:59:59Z"},
        ],
    )
    def test_transfers_of_other_days_or_kinds_and_canceled_ones_do_not_count(self, other):
        assert total_e4(DEPOSIT | other) == (0, [])

    def test_without_a_date_the_day_at_which_it_was_booked_counts(self):
        assert total_e4(DEPOSIT | {"date": None, "created_at": "2026-11-20T05:00:00Z"}) == (10_005_000, [])

    @pytest.mark.parametrize(
        "bad", [{"net_amount": None}, {"net_amount": "much"}, {"date": None, "created_at": None}, {"net_amount": []}]
    )
    def test_with_an_unreadable_transfer_the_sum_is_not_known(self, bad):
        assert total_e4(DEPOSIT, DEPOSIT | bad) == (None, ["transferRow"])

    def test_a_row_that_is_not_an_object_is_counted(self):
        assert total_e4(DEPOSIT, None) == (None, ["transferRow"])

    def test_a_full_page_may_not_be_all(self):
        assert total_e4(*[DEPOSIT] * ROWS_PER_PAGE) == (None, [])

    def test_an_answer_that_is_not_a_list_is_refused(self):
        with pytest.raises(TypeError, match="dict"):
            transfers_e4({}, DAY, RefusedRows())

    @given(with_other_values(DEPOSIT) | ODD)
    def test_any_row_is_counted_or_its_sum_is_not_known(self, row):
        total, refused = total_e4(row, DEPOSIT)
        assert (total is None) == bool(refused)


class TestFills:
    @pytest.mark.parametrize(("token", "more"), [(None, {}), ("last", {"page_token": "last"})])
    def test_a_page_is_asked_for_oldest_first(self, token, more):
        assert fills_query(AT, token) == {
            "activity_types": "FILL",
            "after": "2026-11-20T15:30:00Z",
            "direction": "asc",
            "page_size": "100",
            **more,
        }

    def test_a_fill_is_exact_signed_and_names_its_order(self):
        read, refused = page(FILL)
        at = dt.datetime(2026, 11, 20, 15, 11, 25, 217586, tzinfo=dt.UTC)
        fill = DayFill(symbol=FILL["symbol"], quantity=-2, price_e6=9_410_000, at=at, order_id="e746a089")
        assert (read.fills, read.last_id, read.is_full, refused) == ({FILL["id"]: fill}, FILL["id"], False, [])

    @pytest.mark.parametrize(
        ("side", "quantity"),
        [("buy", 2), ("buy_minus", 2), ("sell", -2), ("sell_short", -2), ("sell_short_exempt", -2)],
    )
    def test_the_side_gives_the_sign(self, side, quantity):
        (fill,) = page(FILL | {"side": side})[0].fills.values()
        assert fill.quantity == quantity

    @pytest.mark.parametrize("at", ["2026-11-20T04:59:59Z", "2026-11-21T05:00:00Z"])
    def test_fills_of_other_days_are_left_out_but_lead_to_the_next_page(self, at):
        read, refused = page(FILL | {"transaction_time": at})
        assert (read.fills, read.last_id, refused) == ({}, FILL["id"], [])

    def test_fills_of_stocks_are_skipped(self):
        read, refused = page(FILL | {"symbol": "SPY"}, FILL | {"symbol": None})
        assert (read.fills, refused) == ({}, [])

    @pytest.mark.parametrize(
        "bad",
        [
            {"price": None},
            {"price": "NaN"},
            {"qty": "0.5"},
            {"qty": None},
            {"side": "borrow"},
            {"side": []},
            {"id": None},
            {"transaction_time": "today"},
        ],
    )
    def test_a_row_that_cannot_be_read_is_skipped_and_the_others_are_read(self, bad):
        read, refused = page(FILL | {"id": "other"} | bad, FILL)
        assert (list(read.fills), refused) == ([FILL["id"]], ["fillRow"])

    def test_a_row_that_is_not_an_object_is_counted(self):
        assert page(None, FILL)[1] == ["fillRow"]

    def test_a_full_page_is_followed_by_another(self):
        read, _ = page(*[FILL | {"id": f"{number}"} for number in range(ROWS_PER_PAGE)])
        assert (read.is_full, read.last_id, len(read.fills)) == (True, "99", ROWS_PER_PAGE)

    def test_an_answer_that_is_not_a_list_is_refused(self):
        with pytest.raises(TypeError, match="dict"):
            fills({}, DAY, RefusedRows())

    @given(with_other_values(FILL) | ODD)
    def test_the_fill_after_any_row_is_read(self, row):
        read, _ = page(row, FILL | {"id": "readable"})
        assert "readable" in read.fills
        assert read.last_id == "readable"
        msgspec.json.encode(read)
