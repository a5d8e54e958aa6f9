import datetime as dt

import msgspec
import pytest
from msgspec.structs import replace

from condord.core.trade import DeliveredShares, Trade
from condord.live.minutes import Extremes, HoldingPeriod
from condord.live.render_trades import answer, holding, holdings, trade

OPENED_AT = dt.datetime(2026, 11, 2, 15, tzinfo=dt.UTC)
CLOSED_AT = dt.datetime(2026, 11, 20, 21, tzinfo=dt.UTC)
ID = "SPY-261218-560-570-630-640"
TRADE = Trade(
    id=ID,
    underlying="SPY",
    kind="ironCondor",
    direction="short",
    quantity=2,
    opened_at=OPENED_AT,
    closed_at=CLOSED_AT,
    how="closed",
    credit_e4=23_500,
    debit_e4=12_345,
    realized_e4=2_231_000,
    max_profit_e4=4_700_000,
    is_whole=True,
)
EXTREMES = {HoldingPeriod(condor_id=ID, opened_at=OPENED_AT): Extremes(worst=-12_050, best=26_000)}


def test_a_trade_has_exact_dollars():
    [shown] = answer([replace(TRADE, fees_e4=20_400)], EXTREMES, None).trades
    assert msgspec.to_builtins(shown) == {
        "id": ID,
        "underlying": "SPY",
        "kind": "ironCondor",
        "direction": "short",
        "quantity": 2,
        "openedAt": "2026-11-02T15:00:00Z",
        "closedAt": "2026-11-20T21:00:00Z",
        "how": "closed",
        "credit": 2.35,
        "debit": 1.2345,
        "realizedPl": 223.1,
        "percentOfMaxProfit": 47.47,
        "daysHeld": 18,
        "worstPl": -120.5,
        "bestPl": 260,
        "fees": 2.04,
        "shares": None,
    }


@pytest.mark.parametrize(("fees_e4", "dollars"), [(4132, 0.41), (4150, 0.42), (49, 0), (0, 0)])
def test_fees_are_rounded_to_the_cent(fees_e4, dollars):
    # What several trades share of one fee is exact inside, and seldom whole cents.
    assert trade(replace(TRADE, fees_e4=fees_e4), None).fees == dollars


def test_an_unknown_value_of_a_trade_is_null():
    unknown = replace(
        TRADE, opened_at=None, credit_e4=None, debit_e4=None, realized_e4=None, max_profit_e4=None, how="assigned"
    )
    shown = trade(replace(unknown, shares=DeliveredShares(symbol="SPY", quantity=-200, price_e4=None)), None)
    assert (shown.opened_at, shown.credit, shown.debit, shown.realized_pl) == (None, None, None, None)
    assert (shown.percent_of_max_profit, shown.days_held, shown.fees) == (None, None, None)
    assert (shown.worst_pl, shown.best_pl) == (None, None)
    assert msgspec.to_builtins(shown.shares) == {"symbol": "SPY", "quantity": -200, "price": None}


def test_a_trade_without_a_possible_profit_has_no_percentage():
    assert trade(replace(TRADE, max_profit_e4=0), None).percent_of_max_profit is None


def test_days_are_dates_at_the_exchange():
    late = dt.datetime(2026, 11, 3, 1, tzinfo=dt.UTC)  # still the evening of November 2 in New York
    assert trade(replace(TRADE, closed_at=late), None).days_held == 0


def test_a_roll_names_its_successor():
    rolled = trade(replace(TRADE, how="rolled", rolled_to="SPY-261218-550-560-630-640"), None)
    assert msgspec.to_builtins(rolled)["rolledTo"] == "SPY-261218-550-560-630-640"
    half = trade(replace(TRADE, how="rolled"), None)
    assert msgspec.to_builtins(half)["rolledTo"] is None
    assert "rolledTo" not in msgspec.to_builtins(trade(TRADE, None))


def test_the_extremes_of_another_holding_of_the_same_strikes_do_not_count():
    assert trade(TRADE, None).worst_pl is None
    other = replace(TRADE, opened_at=CLOSED_AT)
    assert holding(other) not in EXTREMES
    assert answer([other], EXTREMES, None).trades[0].worst_pl is None


def test_a_part_of_a_holding_has_no_extremes():
    part = replace(TRADE, quantity=1, is_whole=False)
    [whole, shown] = answer([TRADE, part], EXTREMES, None).trades
    assert (whole.worst_pl, whole.best_pl) == (-120.5, 260)
    assert (shown.worst_pl, shown.best_pl) == (None, None)
    assert holdings([TRADE, part]) == EXTREMES.keys()


def test_totals_are_over_all_trades_of_the_answer():
    trades = [TRADE, replace(TRADE, realized_e4=-1_000_000), replace(TRADE, realized_e4=None)]
    assert msgspec.to_builtins(answer(trades, {}, OPENED_AT).totals) == {
        "trades": 3,
        "realizedPl": 123.1,
        "winners": 1,
        "losers": 1,
        "unknown": 1,
        "winRate": 50.0,
        "averageWin": 223.1,
        "averageLoss": -100,
        "completeFrom": "2026-11-02T15:00:00Z",
    }


def test_without_trades_the_result_is_zero_only_once_the_past_was_read():
    assert answer([], {}, None).totals.realized_pl is None
    assert answer([], {}, OPENED_AT).totals.realized_pl == 0
