"""The figures of vollib and QuantLib for an option, and a seeded grid of options to compare.

Both are imported by the first test that needs them, not by every process that collects it: with scipy they take as long as
all modules of the package.
"""

import math
import random
from typing import NamedTuple

from tests.core.model.builders import RIGHTS, at

TODAY = (20, 11, 2026)


class Option(NamedTuple):
    right: str
    strike: float
    volatility: float
    conditions: object
    days: int


def grid(count, seed=20261120):
    """Options of 1 to 700 days, up to three standard deviations in or out of the money."""
    chance = random.Random(seed)
    options = []
    for _ in range(count):
        days = chance.choice([1, 2, 7, 30, 45, 90, 365, 700])
        conditions = at(
            spot=chance.uniform(5, 7000),
            years=days / 365,
            rate=chance.choice([-0.01, 0.0, 0.001, 0.04, 0.09]),
            dividend_yield=chance.choice([0.0, 0.012, 0.05]),
        )
        volatility = chance.uniform(0.05, 1.5)
        deviation = volatility * math.sqrt(conditions.years)
        strike = conditions.spot * math.exp(chance.uniform(-3, 3) * deviation)
        options.append(Option(chance.choice(RIGHTS), strike, volatility, conditions, days))
    return options


def by_vollib(option):
    """Price, delta, gamma, theta per day, vega and rho per point."""
    from vollib.black_scholes_merton import black_scholes_merton
    from vollib.black_scholes_merton.greeks import analytical

    right, strike, volatility, conditions, _ = option
    terms = (right[0], conditions.spot, strike, conditions.years, conditions.rate, volatility)
    greeks = (analytical.delta, analytical.gamma, analytical.theta, analytical.vega, analytical.rho)
    yielded = conditions.dividend_yield
    return (black_scholes_merton(*terms, yielded), *(float(greek(*terms, yielded)) for greek in greeks))


def volatility_by_vollib(price, option):
    from vollib.black_scholes_merton.implied_volatility import implied_volatility

    right, strike, _, conditions, _ = option
    terms = (conditions.spot, strike, conditions.years, conditions.rate, conditions.dividend_yield)
    return implied_volatility(price, *terms, right[0])


def by_quantlib(option):
    """Price, delta, gamma, theta per day, vega and rho per point."""
    import QuantLib

    right, strike, volatility, conditions, _ = option
    years = conditions.years
    forward = conditions.spot * math.exp((conditions.rate - conditions.dividend_yield) * years)
    calculator = QuantLib.BlackCalculator(
        QuantLib.PlainVanillaPayoff(_right(right), strike),
        forward,
        volatility * math.sqrt(years),
        math.exp(-conditions.rate * years),
    )
    return (
        calculator.value(),
        calculator.delta(conditions.spot),
        calculator.gamma(conditions.spot),
        calculator.theta(conditions.spot, years) / 365,
        calculator.vega(years) / 100,
        calculator.rho(years) / 100,
    )


def american_price(option):
    """The price of an American option, by the method of Andersen, Lake and Offengenden."""
    import QuantLib

    today = QuantLib.Date(*TODAY)
    exercise = QuantLib.AmericanExercise(today, today + option.days)
    payoff = QuantLib.PlainVanillaPayoff(_right(option.right), option.strike)
    engine = QuantLib.QdFpAmericanEngine(_process(option), QuantLib.QdFpAmericanEngine.accurateScheme())
    return _price(QuantLib.VanillaOption(payoff, exercise), engine)


def touch_by_quantlib(option):
    """The probability that the price meets the strike: the value of 1 dollar at the end for a touch, not discounted."""
    import QuantLib

    today = QuantLib.Date(*TODAY)
    exercise = QuantLib.AmericanExercise(today, today + option.days, True)
    upwards = option.strike > option.conditions.spot
    payoff = QuantLib.CashOrNothingPayoff(QuantLib.Option.Call if upwards else QuantLib.Option.Put, option.strike, 1.0)
    engine = QuantLib.AnalyticDigitalAmericanEngine(_process(option))
    discount = math.exp(-option.conditions.rate * option.conditions.years)
    return _price(QuantLib.VanillaOption(payoff, exercise), engine) / discount


def _process(option):
    import QuantLib

    today, day_count = QuantLib.Date(*TODAY), QuantLib.Actual365Fixed()
    QuantLib.Settings.instance().evaluationDate = today
    conditions = option.conditions
    return QuantLib.BlackScholesMertonProcess(
        QuantLib.QuoteHandle(QuantLib.SimpleQuote(conditions.spot)),
        QuantLib.YieldTermStructureHandle(QuantLib.FlatForward(today, conditions.dividend_yield, day_count)),
        QuantLib.YieldTermStructureHandle(QuantLib.FlatForward(today, conditions.rate, day_count)),
        QuantLib.BlackVolTermStructureHandle(
            QuantLib.BlackConstantVol(today, QuantLib.NullCalendar(), option.volatility, day_count)
        ),
    )


def _price(instrument, engine):
    instrument.setPricingEngine(engine)
    return instrument.NPV()


def _right(right):
    import QuantLib

    return QuantLib.Option.Call if right == "call" else QuantLib.Option.Put
