import datetime as dt

import pytest

from condord.core.trade import Trade, TradeTotals, totals

AT = dt.datetime(2026, 11, 20, 21, tzinfo=dt.UTC)


def results(*cents):
    return [
        Trade(
            id="XYZ-261218-80-85-105-110",
            underlying="XYZ",
            kind="ironCondor",
            direction="short",
            quantity=1,
            opened_at=None,
            closed_at=AT,
            how="closed",
            credit_e4=None,
            debit_e4=None,
            realized_e4=None if amount is None else 100 * amount,
            max_profit_e4=None,
        )
        for amount in cents
    ]


def test_totals_count_winners_losers_and_unknown_results():
    assert totals(results(1_001, 1_000, 0, -500, None)) == TradeTotals(
        trades=5,
        realized_e4=150_100,
        winners=2,
        losers=1,
        unknown=1,
        win_rate=66.7,
        average_win_e4=100_100,
        average_loss_e4=-50_000,
    )


@pytest.mark.parametrize(("cents", "rate"), [((1,), 100.0), ((-1,), 0.0), ((1, -1, -1), 33.3), ((1, *[-1] * 7), 12.5)])
def test_the_win_rate_has_one_decimal(cents, rate):
    assert totals(results(*cents)).win_rate == rate


@pytest.mark.parametrize("cents", [(), (0,), (None,)])
def test_without_winners_and_losers_there_is_no_rate_and_no_average(cents):
    total = totals(results(*cents))
    assert (total.realized_e4, total.win_rate, total.average_win_e4, total.average_loss_e4) == (0, None, None, None)
