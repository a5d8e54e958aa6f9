import datetime as dt

import msgspec
import pytest

from condord.core.dividend import Dividend
from condord.core.grouping.account import group
from condord.core.model.assumptions import Assumptions
from condord.core.model.black_scholes import MarketConditions, price
from condord.core.model.figures import OptionSnapshot
from condord.core.occ import parse
from condord.core.position import Deliverable
from condord.core.quote import judge
from condord.core.underlying import UnderlyingPrice
from condord.live import render
from condord.live.lifecycle import AccountReading
from condord.live.risk_figures import PublishedMarket, RiskFigures, confirmed

from .accounts import C630, C640, C650, EPOCH_AT, P560, P570, SPY_ID, option, position, qqq, spy, tick, unreadable

AS_OF = EPOCH_AT
SETTLES_AT = dt.datetime(2026, 12, 18, 21, 15, tzinfo=dt.UTC)
YEARS = (SETTLES_AT - EPOCH_AT) / dt.timedelta(minutes=525_600)
ASSUMED = Assumptions(rate=0.04, dividend_yields={"SPX": 0.012})


def reading(*positions, shares=None):
    held = tuple(sorted(positions, key=lambda each: each.symbol))
    return AccountReading(positions=held, grouping=group(held), stocks=shares or {})


def worth(symbol, spot=600.0, volatility=0.2, dividend_yield=0.0):
    contract = parse(symbol)
    conditions = MarketConditions(spot=spot, years=YEARS, rate=ASSUMED.rate, dividend_yield=dividend_yield)
    return price(contract.right, contract.strike_mills / 1000, volatility, conditions)


def quotes(symbols, spot=600.0, volatility=0.2):
    """A quote around what each contract is worth, so that its volatility is known."""
    mids = {symbol: worth(symbol, spot, volatility) for symbol in symbols}
    return {symbol: judge(tick(symbol, mid - 0.01, mid + 0.01), None) for symbol, mid in mids.items()}


def market(quoted, now_at=EPOCH_AT, *, unconfirmed=(), is_open=True, **prices):
    """What is published; `prices` are dollars by underlying."""
    return PublishedMarket(
        now_at=now_at,
        is_open=is_open,
        prices={
            symbol: UnderlyingPrice(symbol=symbol, price_e4=None if dollars is None else round(dollars * 10_000))
            for symbol, dollars in prices.items()
        },
        quotes=quoted,
        shown={symbol: render.quote(quote, unconfirmed=symbol in unconfirmed) for symbol, quote in quoted.items()},
    )


def snapshot(symbol, delta=0.3):
    return OptionSnapshot(symbol=symbol, at=EPOCH_AT, iv=0.25, delta=delta, gamma=0.01, theta=-0.1, vega=0.4)


class ComputedFigures:
    """The figures of an account, all computed at once by `run`."""

    def __init__(self, *positions, shares=None):
        self.figures = RiskFigures(ASSUMED)
        self.hold(*positions, shares=shares)
        self.costs = []

    def hold(self, *positions, shares=None):
        self.reading = reading(*positions, shares=shares)
        self.figures.shares = self.reading.stocks
        self.figures.hold(self.reading)

    @property
    def symbols(self):
        return [held.symbol for chain in self.figures.chains for held in chain.contracts]

    def run(self, seen=None, **prices):
        seen = market(quotes(self.symbols), **(prices or {"SPY": 600.0})) if seen is None else seen
        self.costs = list(self.figures.compute(seen))
        return self.figures.results()


def part(results, symbol="SPY"):
    """What is held of an underlying, with the risks of these results."""
    return results.parts({identity: found.risk for identity, found in results.risks.items()})[symbol]


def test_the_volatility_of_each_leg_comes_from_its_quote():
    [found] = ComputedFigures(*spy()).run().risks.values()
    assert [leg.iv for leg in found.risk.legs.values()] == [pytest.approx(0.2, abs=1e-4)] * 4
    assert {leg.source for leg in found.risk.legs.values()} == {"model"}
    assert (found.risk.price, found.risk.missing, found.as_of) == (600.0, (), AS_OF)


def test_the_greeks_of_an_underlying_sum_all_contracts_and_shares():
    alone = ComputedFigures(*spy()).run()
    results = ComputedFigures(*spy(), position(C650, 3, 0.40), shares={"SPY": 100, "QQQ": 7}).run()
    [condor] = results.risks.values()
    call = part(ComputedFigures(position(C650, 3, 0.40)).run()).greeks
    found = part(results).greeks
    assert found.delta == pytest.approx(condor.risk.greeks.delta + call.delta + 100)
    assert found.vega == pytest.approx(condor.risk.greeks.vega + call.vega)
    assert part(alone).greeks == condor.risk.greeks


def test_theta_sums_known_values_and_counts_unknown_ones():
    held = ComputedFigures(*spy(), *qqq(), position(C650, 3, 0.40), unreadable())
    results = held.run(SPY=600.0, QQQ=None)
    spy_condor, call = results.risks[SPY_ID], part(ComputedFigures(position(C650, 3, 0.40)).run())
    assert part(results).theta == pytest.approx(spy_condor.risk.greeks.theta + call.theta)
    assert (part(results).parts, part(results).unknown, results.unreadable) == (2, 0, 1)
    assert (part(results, "QQQ").theta, part(results, "QQQ").unknown) == (None, 1)
    assert part(results, "QQQ").greeks.theta is None


def test_the_risks_to_sum_can_be_others_than_the_newest():
    held = ComputedFigures(*spy(), shares={"SPY": 100})
    results = held.run()
    [found] = results.risks.values()
    greeks = msgspec.structs.replace(found.risk.greeks, delta=3.0, theta=5.0)
    [published] = results.parts({SPY_ID: msgspec.structs.replace(found.risk, greeks=greeks)}).values()
    assert (published.greeks.delta, published.theta) == (103, 5)


def test_without_any_figure_theta_is_unknown_and_without_anything_held_there_is_no_part():
    assert part(ComputedFigures(*spy()).run(SPY=None)).theta is None
    assert ComputedFigures().run(SPY=600.0).parts({}) == {}


def test_a_contract_whose_quantity_is_unknown_makes_the_greeks_of_its_underlying_unknown():
    results = ComputedFigures(*spy(), position(C650, None, 0.40)).run()
    assert (part(results).greeks.delta, part(results).unknown) == (None, 1)
    assert results.risks[SPY_ID].risk.greeks.delta is not None


@pytest.mark.parametrize("prices", [{"SPY": None}, {"QQQ": 1.0}])
def test_without_a_price_the_price_is_missing(prices):
    [found] = ComputedFigures(*spy()).run(**prices).risks.values()
    assert (found.risk.price, found.risk.missing, found.risk.greeks.delta) == (None, ("price",), None)


def test_nothing_is_computed_from_a_price_that_is_not_confirmed():
    held = ComputedFigures(*spy())
    stale = UnderlyingPrice(symbol="SPY", price_e4=6_000_000, unconfirmed=True, reason="stale")
    seen = msgspec.structs.replace(market(quotes(held.symbols)), prices={"SPY": stale})
    assert held.run(seen).risks[SPY_ID].risk.missing == ("price",)
    assert confirmed(stale) is None


def test_a_quote_that_is_not_confirmed_gives_no_volatility():
    held = ComputedFigures(*spy())
    found = held.run(market(quotes(held.symbols), unconfirmed=[C630], SPY=600.0)).risks[SPY_ID].risk
    assert (found.missing, found.greeks.delta) == ((C630,), None)
    missing = {symbol: quote for symbol, quote in quotes(held.symbols).items() if symbol != P560}
    assert held.run(market(missing, SPY=600.0)).risks[SPY_ID].risk.missing == (P560,)


def test_alpacas_figures_stand_in_also_without_a_price():
    held = ComputedFigures(*spy())
    held.figures.fallbacks.take_snapshots([snapshot(symbol) for symbol in held.symbols])
    found = held.run(SPY=None).risks[SPY_ID].risk
    assert {leg.source for leg in found.legs.values()} == {"alpaca"}
    assert (found.greeks.delta, found.missing) == (pytest.approx(0.0), ("price",))


def test_after_the_settlement_everything_is_unknown():
    held = ComputedFigures(*spy())
    results = held.run(market(quotes(held.symbols), SETTLES_AT, SPY=600.0))
    [found] = results.risks.values()
    assert (found.risk.missing, found.as_of, found.risk.greeks.theta) == (("expired",), None, None)
    assert (part(results).theta, part(results).unknown, part(results).greeks.delta) == (None, 1, None)


# What is computed again.


def test_the_same_inputs_in_the_same_minute_are_not_computed_again():
    held = ComputedFigures(*spy(), *qqq())
    quoted = quotes(held.symbols)
    first = held.run(market(quoted, SPY=600.0, QQQ=430.0))
    assert held.costs == [4, 3, 4, 3]
    assert sum(held.costs) == held.figures.cost
    later_at = EPOCH_AT + dt.timedelta(seconds=59)
    again = held.run(market(quoted, later_at, SPY=600.0, QQQ=430.0))
    assert held.costs == [4, 4]
    assert all(again.risks[identity] is first.risks[identity] for identity in first.risks)
    held.run(market(quoted, later_at, SPY=601.0, QQQ=430.0))
    assert sorted(held.costs) == [3, 4, 4]
    held.run(market(quoted, EPOCH_AT + dt.timedelta(minutes=1), SPY=601.0, QQQ=430.0))
    assert held.costs == [4, 3, 4, 3]


def test_changed_assumptions_are_changed_inputs():
    held = ComputedFigures(*spy())
    before = held.run().risks[SPY_ID].risk
    held.figures.assumptions = msgspec.structs.replace(ASSUMED, rate=0.05)
    assert held.run().risks[SPY_ID].risk != before


def test_unchanged_condors_keep_their_figures_when_other_positions_change():
    held = ComputedFigures(*spy(), *qqq())
    seen = market(quotes(held.symbols), SPY=600.0, QQQ=430.0)
    before = held.run(seen)
    held.hold(*spy(1), *qqq())
    known = held.figures.results()
    [qqq_id] = [identity for identity in before.risks if identity != SPY_ID]
    assert known.risks[qqq_id] is before.risks[qqq_id]
    assert part(known, "QQQ").greeks == part(before, "QQQ").greeks
    assert known.risks[SPY_ID].risk.missing == (P560, P570, C630, C640)
    assert (part(known).greeks.delta, part(known).unknown) == (None, 1)
    assert held.run(seen).risks[SPY_ID].risk.greeks.delta == pytest.approx(before.risks[SPY_ID].risk.greeks.delta / 2)


def test_the_legs_of_a_condor_whose_underlying_is_known_for_some_only_are_missing_until_it_is():
    found = ComputedFigures(*spy()[:3], position(C640, 2, 1.10, underlying="SPY-NEW")).run(SPY=600.0)
    assert found.risks[SPY_ID].risk.missing == (C640,)


# Dividends and deliverables.

CHRISTMAS = Dividend(symbol="SPY", ex_date=dt.date(2026, 12, 18), amount_e6=1_970_000, source="alpaca")


def test_the_price_is_less_the_value_of_dividends_until_the_expiration():
    held = ComputedFigures(*spy())
    held.figures.dividends = (CHRISTMAS,)
    years = (dt.datetime(2026, 12, 18, 5, tzinfo=dt.UTC) - EPOCH_AT) / dt.timedelta(minutes=525_600)
    spot = 600.0 - 1.97 * 2.718281828459045 ** (-0.04 * years)
    found = held.run(market(quotes(held.symbols, spot), SPY=600.0)).risks[SPY_ID].risk
    assert [leg.iv for leg in found.legs.values()] == [pytest.approx(0.2, abs=1e-4)] * 4
    assert found.price == 600.0
    assert held.figures.next_dividend("SPY", EPOCH_AT) == CHRISTMAS
    assert held.figures.next_dividend("QQQ", EPOCH_AT) is None


def test_a_dividend_of_the_configuration_replaces_alpacas():
    held = ComputedFigures(*spy())
    held.figures.dividends = (CHRISTMAS,)
    held.figures.overrides = (msgspec.structs.replace(CHRISTMAS, amount_e6=0, source="config"),)
    assert held.run() == ComputedFigures(*spy()).run()
    assert held.figures.next_dividend("SPY", EPOCH_AT) is None


def test_the_yield_counts_if_no_dividend_is_known():
    held = ComputedFigures(*spy())
    held.figures.assumptions = Assumptions(rate=0.04, dividend_yields={"SPY": 0.02})
    quoted = {
        symbol: judge(
            tick(symbol, worth(symbol, dividend_yield=0.02) - 0.01, worth(symbol, dividend_yield=0.02) + 0.01), None
        )
        for symbol in held.symbols
    }
    found = held.run(market(quoted, SPY=600.0)).risks[SPY_ID].risk
    assert [leg.iv for leg in found.legs.values()] == [pytest.approx(0.2, abs=1e-4)] * 4


def adjusted(*deliverables):
    items = tuple(Deliverable(symbol=symbol, amount=amount) for symbol, amount in deliverables)
    return ComputedFigures(*(msgspec.structs.replace(held, deliverables=items) for held in spy()))


def test_dollars_of_delta_count_the_shares_that_an_adjusted_contract_delivers():
    plain = ComputedFigures(*spy()).run().risks[SPY_ID].risk
    held = adjusted(("SPY", "150"))
    found = held.run(market(quotes(held.symbols), SPY=400.0))
    greeks = found.risks[SPY_ID].risk.greeks
    assert greeks.delta == pytest.approx(1.5 * plain.greeks.delta)
    assert greeks.gamma == pytest.approx(2.25 * plain.greeks.gamma)
    assert greeks.theta == pytest.approx(plain.greeks.theta)
    assert part(found).greeks == greeks


def test_while_the_deliverable_is_unknown_only_alpacas_theta_and_vega_are_known_in_dollars():
    held = adjusted(("SPY", "100"), ("SPIN", "10"))
    held.figures.fallbacks.take_snapshots([snapshot(P560), *map(snapshot, (P570, C630, C640))])
    held.figures.dividends = (CHRISTMAS,)
    results = held.run(market(quotes(held.symbols), SPY=600.0))
    greeks = results.risks[SPY_ID].risk.greeks
    assert (greeks.delta, greeks.gamma) == (part(results).greeks.delta, part(results).greeks.gamma) == (None, None)
    assert (greeks.theta, greeks.vega) == (part(results).greeks.theta, part(results).greeks.vega)
    assert greeks.theta == pytest.approx(0.0)
    assert results.risks[SPY_ID].risk.price == 600.0
    later = held.run(market(quotes(held.symbols), SPY=601.0))
    assert (later.risks[SPY_ID].risk.price, later.risks[SPY_ID].risk.missing) == (601.0, ("price",))


# What else is asked for.


def test_stocks_and_indexes_of_condors_are_listed_first():
    held = ComputedFigures(position(option(300, root="AAPL"), 1), *spy(), position(option(6000, root="SPX"), 1))
    assert (held.figures.stocks, held.figures.indexes) == (("SPY", "AAPL"), ("SPX",))
    assert held.figures.underlyings == ("AAPL", "SPX", "SPY")


def test_the_opposite_of_each_contract_in_the_money_is_asked_for_unless_it_is_held():
    held = ComputedFigures(*spy(), position(option(560, "C"), 1))
    seen = market(quotes(held.symbols), SPY=565.0)
    assert held.figures.opposite_contracts(seen) == (option(570, "C"),)
    assert held.figures.opposite_contracts(market({}, SPY=None)) == ()
    assert held.figures.opposite_contracts(market(quotes(held.symbols), SPY=635.0)) == (option(630),)


def test_a_contract_in_the_money_takes_the_volatility_of_its_opposite():
    held = ComputedFigures(*spy())
    seen = market(quotes(held.symbols, 565.0), SPY=565.0)
    before = held.run(seen).risks[SPY_ID].risk
    assert before.legs[P570].iv == pytest.approx(0.2, abs=1e-3)  # between the strikes
    opposite = option(570, "C")
    mid = worth(opposite, 565.0, 0.3)
    held.figures.take_opposite_quotes([tick(opposite, mid - 0.01, mid + 0.01)], seen)
    found = held.run(seen).risks[SPY_ID].risk
    assert found.legs[P570].iv == pytest.approx(0.3, abs=1e-3)
    late = msgspec.structs.replace(seen, now_at=EPOCH_AT + dt.timedelta(minutes=3))
    assert held.run(late).risks[SPY_ID].risk.legs[P570].iv == pytest.approx(0.2, abs=2e-3)


def test_the_quote_of_an_opposite_without_a_usable_price_gives_no_volatility():
    held = ComputedFigures(*spy())
    seen = market(quotes(held.symbols, 565.0), SPY=565.0)
    held.figures.take_opposite_quotes([tick(option(570, "C"), 0.0, 4.8), tick(option(560, "C"), 0.01, 0.01)], seen)
    assert held.figures.fallbacks.ivs(held.figures.chains[0].key, EPOCH_AT) == {}
    held.figures.take_opposite_quotes([], seen)
    assert held.figures.fallbacks.ivs(held.figures.chains[0].key, EPOCH_AT) == {}


def index_figures():
    roots = [("P", 5900, 1), ("P", 5950, -1), ("C", 6050, -1), ("C", 6100, 1)]
    return ComputedFigures(
        *(position(option(strike, right, "SPXW"), side, underlying="SPX") for right, strike, side in roots)
    )


def test_the_price_of_an_index_follows_from_the_opposites_that_are_asked_for():
    held = index_figures()
    seen = market(quotes(held.symbols, 6000.0), SPX=None)
    assert held.figures.parity_e4("SPX", seen) is None
    asked = held.figures.opposite_contracts(seen)
    assert len(asked) == 4
    held.figures.take_opposite_quotes(
        [tick(symbol, worth(symbol, 6000.0) - 0.1, worth(symbol, 6000.0) + 0.1) for symbol in asked], seen
    )
    forward = 6000.0 * 2.718281828459045 ** (-0.012 * YEARS)  # the quotes know of no yield, the price does
    assert held.figures.parity_e4("SPX", seen) / 10_000 == pytest.approx(6000.0 * 6000.0 / forward, rel=1e-3)
    assert held.figures.parity_e4("SPX", msgspec.structs.replace(seen, now_at=SETTLES_AT)) is None


def test_an_index_with_a_value_of_its_own_needs_no_parity():
    held = index_figures()
    value = UnderlyingPrice(symbol="SPX", price_e4=60_000_000, source="index")
    seen = msgspec.structs.replace(market(quotes(held.symbols, 6000.0)), prices={"SPX": value})
    assert held.figures.opposite_contracts(seen) == ()


def test_american_options_give_no_price_by_parity():
    assert ComputedFigures(*spy()).figures.parity_e4("SPY", market({}, SPY=None)) is None


# Alpaca's own figures.


def test_a_delta_of_alpaca_that_is_far_from_its_own_method_differs():
    held = ComputedFigures(*spy())
    seen = market(quotes(held.symbols), SPY=600.0)
    own = {symbol: leg.delta for symbol, leg in held.run(seen).risks[SPY_ID].risk.legs.items()}
    alike = [snapshot(symbol, delta) for symbol, delta in own.items()]
    assert list(held.figures.judge(alike, seen)) == [None] * 4
    other = [snapshot(C630, own[C630] + 0.03), snapshot(P560, own[P560] + 0.001), snapshot(C650, 0.9)]
    assert list(held.figures.judge(other, seen)) == [C630, None, None]


def test_alpacas_delta_is_not_judged_if_its_quote_has_another_time():
    held = ComputedFigures(*spy())
    seen = market(quotes(held.symbols), SPY=600.0)
    ats = [EPOCH_AT + dt.timedelta(seconds=seconds) for seconds in (-5.1, -5, 5, 5.1)]
    others = [msgspec.structs.replace(snapshot(C630, 0.9), at=each) for each in (*ats, None)]
    assert list(held.figures.judge(others, seen)) == [None, C630, C630, None, None]


@pytest.mark.parametrize(
    "seen",
    [
        market(quotes([C630]), SPY=None),
        market(quotes([C630]), unconfirmed=[C630], SPY=600.0),
        market(quotes([C630]), SPY=635.0),
    ],
)
def test_alpacas_delta_is_not_judged_without_a_price_or_a_quote_or_in_the_money(seen):
    assert list(ComputedFigures(*spy()).figures.judge([snapshot(C630, 0.99)], seen)) == [None]
