"""What vollib and QuantLib make of an option, and a seeded grid of options to ask them about."""

import math
import random
from typing import NamedTuple

import QuantLib
from vollib.black_scholes_merton import black_scholes_merton
from vollib.black_scholes_merton.greeks import analytical
from vollib.black_scholes_merton.implied_volatility import implied_volatility

from tests.core.model.builders import RIGHTS, at

TODAY = QuantLib.Date(20, 11, 2026)
DAY_COUNT = QuantLib.Actual365Fixed()
NO_HOLIDAYS = QuantLib.NullCalendar()


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
    right, strike, volatility, conditions, _ = option
    terms = (right[0], conditions.spot, strike, conditions.years, conditions.rate, volatility)
    greeks = (analytical.delta, analytical.gamma, analytical.theta, analytical.vega, analytical.rho)
    yielded = conditions.dividend_yield
    return (black_scholes_merton(*terms, yielded), *(float(greek(*terms, yielded)) for greek in greeks))


def volatility_by_vollib(price, option):
    right, strike, _, conditions, _ = option
    terms = (conditions.spot, strike, conditions.years, conditions.rate, conditions.dividend_yield)
    return implied_volatility(price, *terms, right[0])


def by_quantlib(option):
    """Price, delta, gamma, theta per day, vega and rho per point."""
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
    exercise = QuantLib.AmericanExercise(TODAY, TODAY + option.days)
    payoff = QuantLib.PlainVanillaPayoff(_right(option.right), option.strike)
    engine = QuantLib.QdFpAmericanEngine(_process(option), QuantLib.QdFpAmericanEngine.accurateScheme())
    return _price(QuantLib.VanillaOption(payoff, exercise), engine)


def touch_by_quantlib(option):
    """The probability that the price meets the strike: the value of 1 dollar at the end for a touch, not discounted."""
    exercise = QuantLib.AmericanExercise(TODAY, TODAY + option.days, True)
    upwards = option.strike > option.conditions.spot
    payoff = QuantLib.CashOrNothingPayoff(QuantLib.Option.Call if upwards else QuantLib.Option.Put, option.strike, 1.0)
    engine = QuantLib.AnalyticDigitalAmericanEngine(_process(option))
    discount = math.exp(-option.conditions.rate * option.conditions.years)
    return _price(QuantLib.VanillaOption(payoff, exercise), engine) / discount


def _process(option):
    QuantLib.Settings.instance().evaluationDate = TODAY
    conditions = option.conditions
    return QuantLib.BlackScholesMertonProcess(
        QuantLib.QuoteHandle(QuantLib.SimpleQuote(conditions.spot)),
        QuantLib.YieldTermStructureHandle(QuantLib.FlatForward(TODAY, conditions.dividend_yield, DAY_COUNT)),
        QuantLib.YieldTermStructureHandle(QuantLib.FlatForward(TODAY, conditions.rate, DAY_COUNT)),
        QuantLib.BlackVolTermStructureHandle(
            QuantLib.BlackConstantVol(TODAY, NO_HOLIDAYS, option.volatility, DAY_COUNT)
        ),
    )


def _price(instrument, engine):
    instrument.setPricingEngine(engine)
    return instrument.NPV()


def _right(right):
    return QuantLib.Option.Call if right == "call" else QuantLib.Option.Put
