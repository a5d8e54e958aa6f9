import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from condord.core.model.black_scholes import option_value, price
from condord.core.model.figures import Chain, Figures, ModelQuote, OptionSnapshot, figures, invertible_price
from condord.core.model.implied_volatility import implied_volatility
from condord.core.quote import Quote
from tests.core.model.builders import MONTH, RIGHTS, at
from tests.core.strategies import quoted

UNKNOWN = Figures()
SNAPSHOT = OptionSnapshot(symbol="", at=None, iv=0.31, delta=-0.4, gamma=0.02, theta=-0.03, vega=0.1)
BY_ALPACA = Figures(iv=0.31, delta=-0.4, gamma=0.02, theta=-0.03, vega=0.1, source="alpaca")


def held(name, volatility=0.2, spot=100.0):
    """A contract like `P95` at the price that a volatility gives; None without a price."""
    right, strike = {"P": "put", "C": "call"}[name[0]], float(name[1:])
    paid = None if volatility is None else price(right, strike, volatility, at(spot))
    return ModelQuote(symbol=name, right=right, strike=strike, price=paid)


def chain(*quotes, spot=100.0, years=MONTH, **others):
    return Chain(spot=spot, years=years, rate=0.04, dividend_yield=0.0, quotes=quotes, **others)


def modelled(name, volatility, spot=100.0):
    """The model's figures of a contract at a volatility."""
    quote = held(name, volatility, spot)
    value = option_value(quote.right, quote.strike, volatility, at(spot))
    return {"delta": value.delta, "gamma": value.gamma, "theta": value.theta, "vega": value.vega}


def assert_modelled(found, name, volatility, spot=100.0):
    assert found.source == "model"
    assert found.iv == pytest.approx(volatility, rel=1e-9)
    expected = modelled(name, volatility, spot)
    assert {field: getattr(found, field) for field in expected} == pytest.approx(expected)


@pytest.mark.parametrize(
    ("bid", "ask", "expected"),
    [
        ("1.20", "1.25", 1.225),
        ("1.20", "1.20", 1.2),
        ("0.01", "0.0101", 0.01005),  # finer than a mark, which is rounded to 1e-4
        ("0", "0.10", 0.05),
        ("0", "0.1001", None),
        ("0", "0.60", None),
        ("0.10", "4.80", None),
        ("1", "0", None),
        ("1.25", "1.20", None),
    ],
)
def test_a_quote_is_inverted_at_its_mid_unless_it_must_not_be(bid, ask, expected):
    quote = quoted("X", bid, ask, last_good="1")
    assert invertible_price(quote, unconfirmed=False) == expected
    assert invertible_price(quote, unconfirmed=True) is None


def test_a_contract_that_was_never_quoted_has_no_price_to_invert():
    assert invertible_price(Quote(symbol="X"), unconfirmed=False) is None
    assert invertible_price(Quote(symbol="X", state="twoSided", bid_e4=1), unconfirmed=False) is None


def test_contracts_out_of_the_money_have_the_volatility_of_their_own_price():
    found = figures(chain(held("P90", 0.25), held("P95", 0.22), held("C105", 0.18), held("C110", 0.17)))
    for name, volatility in (("P90", 0.25), ("P95", 0.22), ("C105", 0.18), ("C110", 0.17)):
        assert_modelled(found[name], name, volatility)


def test_at_the_money_counts_as_out_of_the_money_for_both_rights():
    found = figures(chain(held("P100", 0.21), held("C100", 0.19)))
    assert_modelled(found["P100"], "P100", 0.21)
    assert_modelled(found["C100"], "C100", 0.19)


def test_a_contract_in_the_money_takes_the_volatility_of_the_other_right_that_is_held():
    found = figures(chain(held("P105", None), held("C105", 0.18), held("C95", 0.5), held("P95", 0.22)))
    assert_modelled(found["P105"], "P105", 0.18)
    assert_modelled(found["C95"], "C95", 0.22)


def test_a_contract_in_the_money_takes_the_volatility_of_the_other_right_that_rest_returned():
    found = figures(chain(held("P90", 0.25), held("P105", 0.5), held("C110", 0.17), other_ivs={105.0: 0.18}))
    assert_modelled(found["P105"], "P105", 0.18)


def test_the_other_right_that_is_held_precedes_the_one_that_rest_returned():
    found = figures(chain(held("P105"), held("C105", 0.18), other_ivs={105.0: 0.5}))
    assert found["P105"].iv == pytest.approx(0.18)


def test_the_volatility_from_rest_is_only_used_for_contracts_in_the_money():
    assert figures(chain(held("P95", None), other_ivs={95.0: 0.18}))["P95"] == UNKNOWN


def test_the_volatility_of_a_contract_in_the_money_lies_between_the_nearest_strikes_out_of_the_money():
    found = figures(chain(held("P90", 0.3), held("P96", 0.24), held("C98", 0.5), held("C104", 0.16), held("C110", 0.1)))
    assert_modelled(found["C98"], "C98", 0.24 + (0.16 - 0.24) * 2 / 8)


def test_strikes_without_a_volatility_are_left_out_of_the_interpolation():
    found = figures(chain(held("P90", 0.3), held("P96", None), held("C98"), held("C104", None), held("C106", 0.14)))
    assert found["C98"].iv == pytest.approx(0.3 + (0.14 - 0.3) * 8 / 16)


def test_nothing_is_extrapolated():
    found = figures(chain(held("P90"), held("P95"), held("C80", 0.2), held("P105", 0.2)))
    assert found["C80"] == UNKNOWN
    assert found["P105"] == UNKNOWN
    assert_modelled(found["P95"], "P95", 0.2)


def test_no_price_in_the_money_is_ever_inverted():
    for volatility in (0.15, 0.5, 2.0):
        assert figures(chain(held("C95", volatility), held("P105", volatility))) == {"C95": UNKNOWN, "P105": UNKNOWN}


def test_the_price_with_dividends_decides_which_contract_is_in_the_money():
    quotes = (held("P99", 0.22, 98.0), held("C99", 0.5, 98.0))
    found = figures(chain(*quotes, spot=98.0, cum_dividend_spot=100.0))
    assert_modelled(found["P99"], "P99", 0.22, 98.0)
    assert_modelled(found["C99"], "C99", 0.22, 98.0)


def test_a_price_at_or_below_the_intrinsic_value_gives_no_volatility():
    # The forward is above the strike, so that a call at the money is worth something without any volatility.
    worthless = ModelQuote(symbol="C100", right="call", strike=100.0, price=0.3)
    assert figures(chain(worthless)) == {"C100": UNKNOWN}


def test_alpacas_figures_stand_in_leg_by_leg():
    snapshots = dict.fromkeys(("P90", "P95", "P105"), SNAPSHOT)
    found = figures(chain(held("P90", None), held("P95", 0.22), held("P105"), held("C110", None), snapshots=snapshots))
    assert found["P90"] == BY_ALPACA
    assert found["P105"] == BY_ALPACA
    assert found["C110"] == UNKNOWN
    assert_modelled(found["P95"], "P95", 0.22)


@pytest.mark.parametrize("spot", [None, 0.0, -1.0])
def test_alpacas_figures_stand_in_without_a_price(spot):
    found = figures(chain(held("P90"), held("P95"), spot=spot, snapshots={"P90": SNAPSHOT}))
    assert found == {"P90": BY_ALPACA, "P95": UNKNOWN}


def test_a_snapshot_without_figures_has_no_source():
    empty = OptionSnapshot(symbol="P90", at=None, iv=None, delta=None, gamma=None, theta=None, vega=None)
    assert figures(chain(held("P90", None), snapshots={"P90": empty})) == {"P90": UNKNOWN}
    part = replace(empty, delta=-0.1, at=dt.datetime(2026, 11, 20, tzinfo=dt.UTC))
    assert figures(chain(held("P90", None), snapshots={"P90": part})) == {"P90": Figures(delta=-0.1, source="alpaca")}


@pytest.mark.parametrize("iv", [0.0, -0.1])
def test_a_volatility_of_alpaca_that_is_not_above_zero_is_unknown(iv):
    found = figures(chain(held("P90", None), snapshots={"P90": replace(SNAPSHOT, iv=iv)}))
    assert found == {"P90": replace(BY_ALPACA, iv=None)}


@pytest.mark.parametrize("years", [None, 0.0, -1e-6])
def test_after_the_settlement_nothing_is_known(years):
    assert figures(chain(held("P95"), years=years, snapshots={"P95": SNAPSHOT})) == {"P95": UNKNOWN}


@st.composite
def chains(draw):
    """Chains of up to twelve contracts, some without a price, and earlier volatilities of some."""
    names = draw(st.lists(st.tuples(st.sampled_from("PC"), st.integers(80, 120)), max_size=12, unique=True))
    volatilities = st.none() | st.floats(0.15, 1)
    quotes = [held(f"{right}{strike}", draw(volatilities)) for right, strike in names]
    guesses = {quote.symbol: draw(st.floats(0.01, 3)) for quote in quotes if draw(st.booleans())}
    others = {float(strike): draw(st.floats(0.1, 1)) for _, strike in names if draw(st.booleans())}
    return chain(*quotes, other_ivs=others), guesses


@given(chains())
def test_earlier_volatilities_change_nothing(drawn):
    listed, guesses = drawn
    plain, guided = figures(listed), figures(listed, guesses)
    assert plain.keys() == guided.keys() == {quote.symbol for quote in listed.quotes}
    for symbol, found in plain.items():
        assert guided[symbol].source == found.source
        assert guided[symbol].iv == pytest.approx(found.iv)


@given(chains())
def test_the_figures_of_a_price_out_of_the_money_do_not_depend_on_other_contracts(drawn):
    listed, _ = drawn
    together = figures(listed)
    for quote in listed.quotes:
        if quote.strike == 100 or (quote.strike > 100) == (quote.right == "call"):
            assert figures(chain(quote))[quote.symbol] == together[quote.symbol]


@given(chains())
def test_a_volatility_in_the_money_comes_from_its_strike_or_lies_between_its_neighbours(drawn):
    listed, _ = drawn
    found = figures(listed)
    outside = sorted(
        (quote.strike, found[quote.symbol].iv)
        for quote in listed.quotes
        if (quote.strike == 100 or (quote.strike > 100) == (quote.right == "call")) and found[quote.symbol].iv
    )
    for quote in listed.quotes:
        if quote.strike == 100 or (quote.strike > 100) == (quote.right == "call"):
            continue
        expected = {iv for strike, iv in outside if strike == quote.strike}
        if not expected and quote.strike in listed.other_ivs:
            expected = {listed.other_ivs[quote.strike]}
        below = max((strike for strike, _ in outside if strike < quote.strike), default=None)
        above = min((strike for strike, _ in outside if strike > quote.strike), default=None)
        ends = [iv for strike, iv in outside if strike in (below, above)]
        iv = found[quote.symbol].iv
        if expected:
            assert iv in expected
        elif below is not None and above is not None:
            assert min(ends) - 1e-12 <= iv <= max(ends) + 1e-12
        else:
            assert iv is None


def test_the_sides_of_a_strike_are_priced_at_one_volatility():
    found = figures(chain(held("P95", 0.22), held("C95", None)))
    assert found["C95"].delta - found["P95"].delta == pytest.approx(1)
    assert found["C95"].vega == found["P95"].vega
    assert set(RIGHTS) == {held("P95").right, held("C95").right}


def test_a_volatility_of_the_other_right_can_be_taken_from_its_price():
    other = held("C105", 0.18)
    volatility = implied_volatility(other.right, other.price, other.strike, at())
    assert_modelled(figures(chain(held("P105"), other_ivs={105.0: volatility}))["P105"], "P105", 0.18)
