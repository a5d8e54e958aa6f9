import datetime as dt

import pytest

from condord.core.account_summary import AccountSummary

READ_AT = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)


def summary(equity, last_equity, transfers):
    return AccountSummary(
        read_at=READ_AT,
        equity_e4=equity,
        last_equity_e4=last_equity,
        cash_e4=None,
        buying_power_e4=None,
        options_buying_power_e4=None,
        maintenance_margin_e4=None,
        transfers_e4=transfers,
    )


@pytest.mark.parametrize(
    ("transfers", "expected"), [(0, 1_434_000), (1_000_000, 434_000), (-1_000_000, 2_434_000), (1_434_000, 0)]
)
def test_transfers_of_the_day_are_neither_profit_nor_loss(transfers, expected):
    assert summary(501_234_000, 499_800_000, transfers).day_pl_e4 == expected


@pytest.mark.parametrize("known", [(None, 1, 0), (1, None, 0), (1, 1, None)])
def test_the_summary_is_unknown_while_a_part_of_it_is(known):
    assert summary(*known).day_pl_e4 is None
