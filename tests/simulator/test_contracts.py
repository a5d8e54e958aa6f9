import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from condord.core import occ
from condord.simulator import contracts

days = st.dates(dt.date(2024, 1, 1), dt.date(2060, 12, 31))
ROOTS = {root.symbol: root for root in contracts.ROOTS}


@given(days)
def test_expirations_are_future_fridays_in_order(today):
    listed = contracts.expirations(today)
    assert [day.weekday() for day in listed] == [4, 4, 4]
    assert today < listed.near < listed.monthly or listed.near >= listed.monthly - dt.timedelta(days=14)
    assert (listed.monthly - today).days >= 25
    assert 28 <= (listed.later - listed.monthly).days <= 35
    assert 15 <= listed.monthly.day <= 21
    assert 15 <= listed.later.day <= 21


def test_a_contract_off_the_grid_the_expirations_or_the_range_is_not_listed():
    listed = contracts.expirations(dt.date(2026, 11, 20))
    inside = occ.parse(f"NVDA{listed.monthly:%y%m%d}P00202500")
    assert contracts.is_listed(inside, ROOTS["NVDA"], listed)
    for symbol in (
        f"NVDA{listed.monthly:%y%m%d}P00203000",
        "NVDA301220P00202500",
        f"NVDA{listed.near:%y%m%d}P00002500",
    ):
        assert not contracts.is_listed(occ.parse(symbol), ROOTS["NVDA"], listed)


@given(st.sampled_from(contracts.ROOTS), days)
def test_every_enumerated_contract_is_listed(root, today):
    listed = contracts.expirations(today)
    symbols = list(contracts.listed_symbols(root, listed))
    assert len(symbols) == len(set(symbols)) > 50
    assert all(contracts.is_listed(symbol, root, listed) for symbol in symbols[::37])


def test_an_adjusted_root_has_its_underlying_and_deliverables():
    symbol = occ.parse("XYZ1261218C00085000")
    row = contracts.contract_json(symbol, ROOTS["XYZ1"], "0.75", dt.date(2026, 11, 19))
    assert (row["root_symbol"], row["underlying_symbol"], row["tradable"]) == ("XYZ1", "XYZ", False)
    delivered = contracts.deliverables_json([(stock, shares) for stock, shares, _ in ROOTS["XYZ1"].deliverables])
    assert [(row["symbol"], row["amount"]) for row in delivered] == [("XYZ", "100"), ("XYZ.WS", "10")]
    assert sum(int(row["allocation_percentage"]) for row in delivered) == 100


def test_strikes_are_strings_without_trailing_zeros():
    half = contracts.contract_json(occ.parse("NVDA261218P00202500"), ROOTS["NVDA"], "4", dt.date(2026, 11, 19))
    whole = contracts.contract_json(occ.parse("SPY261218P00700000"), ROOTS["SPY"], "4", dt.date(2026, 11, 19))
    assert (half["strike_price"], whole["strike_price"]) == ("202.5", "700")


def test_an_unknown_root_is_its_own_underlying():
    row = contracts.contract_json(occ.parse("ZZZ261218P00202500"), None, "0", dt.date(2026, 11, 19))
    assert row["underlying_symbol"] == "ZZZ"


def test_uuids_are_stable_and_differ():
    assert (
        contracts.stable_uuid("asset", "SPY")
        == contracts.stable_uuid("asset", "SPY")
        != contracts.stable_uuid("asset", "QQQ")
    )


@given(days)
def test_dividends_are_the_last_one_and_the_next_four(today):
    rows = contracts.dividends(ROOTS["SPY"], today)
    assert len(rows) == 5
    assert rows[0][0] < today <= rows[1][0]
    assert all((day.month % 3, day.weekday()) == (0, 4) for day, _ in rows)
    assert contracts.dividends(ROOTS["INTC"], today) == []


def test_the_monthly_root_of_an_index_has_only_third_fridays():
    listed = contracts.expirations(dt.date(2026, 11, 20))
    assert contracts.listed_expirations(ROOTS["SPX"], listed) == [listed.monthly, listed.later]
    assert contracts.listed_expirations(ROOTS["SPXW"], listed) == list(listed)
    assert not contracts.is_listed(occ.parse(f"SPX{listed.near:%y%m%d}C07400000"), ROOTS["SPX"], listed)


def test_options_on_indexes_are_european():
    assert {root.symbol for root in contracts.ROOTS if root.is_european} == {"SPX", "SPXW", "XSP"}


def test_on_an_expiration_day_the_nearest_expiration_is_today():
    today = dt.date(2026, 12, 4)
    listed = contracts.expirations(today, expires_today=True)
    assert listed.near == today
    assert listed.monthly == contracts.expirations(today).monthly
