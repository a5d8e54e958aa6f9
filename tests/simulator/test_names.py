import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from condord.core import occ
from condord.simulator import names

days = st.dates(dt.date(2024, 1, 1), dt.date(2060, 12, 31))
NAME = {name.root: name for name in names.NAMES}


@given(days)
def test_expirations_are_fridays_in_order_and_ahead(today):
    listed = names.expirations(today)
    assert [day.weekday() for day in listed] == [4, 4, 4]
    assert today < listed.near < listed.monthly or listed.near >= listed.monthly - dt.timedelta(days=14)
    assert (listed.monthly - today).days >= 25
    assert 28 <= (listed.later - listed.monthly).days <= 35
    assert 15 <= listed.monthly.day <= 21
    assert 15 <= listed.later.day <= 21


def test_a_contract_off_the_grid_the_dates_or_the_range_is_not_listed():
    listed = names.expirations(dt.date(2026, 11, 20))
    inside = occ.parse(f"NVDA{listed.monthly:%y%m%d}P00202500")
    assert names.is_listed(inside, NAME["NVDA"], listed)
    for symbol in (
        f"NVDA{listed.monthly:%y%m%d}P00203000",
        "NVDA301220P00202500",
        f"NVDA{listed.near:%y%m%d}P00002500",
    ):
        assert not names.is_listed(occ.parse(symbol), NAME["NVDA"], listed)


@given(st.sampled_from(names.NAMES), days)
def test_what_is_enumerated_is_listed(name, today):
    listed = names.expirations(today)
    symbols = list(names.listed_symbols(name, listed))
    assert len(symbols) == len(set(symbols)) > 50
    assert all(names.is_listed(symbol, name, listed) for symbol in symbols[::37])


def test_an_adjusted_root_names_its_underlying_and_what_it_delivers():
    symbol = occ.parse("XYZ1261218C00085000")
    row = names.contract_answer(symbol, NAME["XYZ1"], "0.75", dt.date(2026, 11, 19))
    assert (row["root_symbol"], row["underlying_symbol"], row["tradable"]) == ("XYZ1", "XYZ", False)
    assert [each["symbol"] for each in row["deliverables"]] == ["XYZ", "XYZ.WS"]
    assert sum(int(each["allocation_percentage"]) for each in row["deliverables"]) == 100


def test_strikes_are_strings_without_trailing_zeros():
    half = names.contract_answer(occ.parse("NVDA261218P00202500"), NAME["NVDA"], "4", dt.date(2026, 11, 19))
    whole = names.contract_answer(occ.parse("SPY261218P00700000"), NAME["SPY"], "4", dt.date(2026, 11, 19))
    assert (half["strike_price"], whole["strike_price"]) == ("202.5", "700")


def test_an_unknown_root_is_its_own_underlying():
    row = names.contract_answer(occ.parse("ZZZ261218P00202500"), None, "0", dt.date(2026, 11, 19))
    assert row["underlying_symbol"] == "ZZZ"


def test_identities_are_stable_and_differ():
    assert names.identity("asset", "SPY") == names.identity("asset", "SPY") != names.identity("asset", "QQQ")
