"""Words with a hysteresis of their own: once true, they stay true until the price is clearly away.

Near a line a price crosses it with every other tick, and on expiration day for hours. A rule that names such a word
would fire as often, and its `clear` could only negate the word.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Iterable
from typing import NamedTuple

from condord.core.condor import Condor, Leg
from condord.core.expiry import last_trading_day
from condord.core.model.figures import UNKNOWN
from condord.core.model.risk import Risk
from condord.core.rules.facts import ABSENT, Value
from condord.core.rules.rule import Rule
from condord.live.alert_facts import CondorTerms, Moment
from condord.live.alert_records import AlertRecord

WORDS = ("nearStrike", "longPutExpiring")
NEAR_PERCENT = 0.5
NEAR_SIGMAS = 1.0
"""A leg is near its strike within the larger of the two."""
LEAVES_NEAR = 1.5
"""How many times that distance is clearly away."""
PLAUSIBLE_TIMES = 2.0
MAX_IV = 3.0
"""A leg without a volatility has at most twice the volatility of the nearest leg with one, up to 300 %, and else 300 %.

Otherwise one that nobody bids for, far out of the money, would keep a critical alert until the settlement. With an hour
left, a standard deviation of 300 % is 3.2 % of the price.
"""
LEAVES_MONEY_PERCENT = 0.25
LEAVES_MONEY_SIGMAS = 0.25
"""A long put is clearly out of the money from the larger of the two.

A quarter of a sigma is what `distanceSigmas` calls tested: from there the price comes back in about four of five cases
at some time. At the end of the day it goes to zero, so the other one keeps a margin of about two dollars of SPY.
"""
_MILLS = 1000


class _Spot(NamedTuple):
    """The price to compare strikes with, and the years to the settlement."""

    price: float
    years: float


def near_strike(condor: Condor, terms: CondorTerms, risk: Risk, when: Moment, *, holds: bool) -> Value:
    """Whether a leg is in the money or near its strike; while it `holds`, whether one is not clearly away.

    A leg without a volatility is away if it is so with any plausible one.
    """
    spot = _spot(terms, risk, when)
    if spot is None:
        return None
    factor = LEAVES_NEAR if holds else 1.0
    legs = [(_away(leg, spot), risk.legs.get(leg.symbol, UNKNOWN).iv) for leg in condor.legs]
    if any(away < 0 or away <= factor * _larger(NEAR_PERCENT, NEAR_SIGMAS, iv or 0.0, spot) for away, iv in legs):
        return True
    most_iv = _most_iv([(away, iv) for away, iv in legs if iv is not None])
    furthest = factor * _larger(NEAR_PERCENT, NEAR_SIGMAS, most_iv, spot)
    return None if any(iv is None and away <= furthest for away, iv in legs) else False


def _most_iv(legs: list[tuple[float, float]]) -> float:
    """The greatest plausible volatility of a leg without one, from those that have one and how far away they are."""
    if not legs:
        return MAX_IV
    _, nearest_iv = min(legs)  # of a leg that is far away, it is inflated by the least price of a cent
    return max(nearest_iv, min(PLAUSIBLE_TIMES * nearest_iv, MAX_IV))


def _away(leg: Leg, spot: _Spot) -> float:
    """How far a leg is out of the money, in dollars; negative in the money."""
    strike = leg.strike_mills / _MILLS
    return strike - spot.price if leg.right == "call" else spot.price - strike


def long_put_expiring(
    condor: Condor, terms: CondorTerms, risk: Risk, when: Moment, shares: int, *, holds: bool
) -> Value:
    """Whether a long put is in the money on its last day without the shares that it delivers.

    While it `holds`, a put counts until it is clearly out of the money. Without a volatility, as mostly on the last
    day, when a put has no bid, the percentage decides: an alert must not stay because nobody buys the put any longer.
    """
    chain = terms.chain
    if chain.style == "european":
        return ABSENT
    if last_trading_day(chain.ending) != when.day:
        return False
    if (spot := _spot(terms, risk, when)) is None:
        return None
    for leg in condor.legs:
        if leg.right != "put" or leg.quantity <= 0 or shares >= leg.quantity * condor.multiplier:
            continue
        away, iv = _away(leg, spot), risk.legs.get(leg.symbol, UNKNOWN).iv
        if away < 0 or (holds and away < _larger(LEAVES_MONEY_PERCENT, LEAVES_MONEY_SIGMAS, iv or 0.0, spot)):
            return True
    return False


def _spot(terms: CondorTerms, risk: Risk, when: Moment) -> _Spot | None:
    """None if the price is not known, and from the settlement on."""
    chain = terms.chain
    price = chain.spot(risk.price)
    years = chain.years(when.now_at, chain.counted_from(when.now_at, when.calendar, is_open=when.is_session))
    return None if price is None or years is None else _Spot(price, max(0.0, years))


def _larger(percent: float, sigmas: float, iv: float, spot: _Spot) -> float:
    """The larger of two distances, in dollars."""
    return spot.price * max(percent / 100, sigmas * iv * math.sqrt(spot.years))


class LastingWords:
    """Which of `WORDS` are true for which condors. After a restart, that follows from the pending and firing alerts."""

    def __init__(self) -> None:
        self._words: dict[str, dict[str, dt.datetime | None]] = {}

    def is_true(self, key: str, word: str, opened_at: dt.datetime | None) -> bool:
        """Whether the word is true for the condor `key` opened at `opened_at`, not for an earlier one of that id."""
        words = self._words.get(key)
        if words is None or word not in words:
            return False
        known_at = words[word]
        return known_at is None or opened_at is None or opened_at <= known_at

    def note(self, key: str, word: str, opened_at: dt.datetime | None, value: Value) -> None:
        """Note whether a word is true now; while that is not known, it stays as it was."""
        if value is True:
            self._words.setdefault(key, {})[word] = opened_at
        elif value is not None and key in self._words:
            self._words[key].pop(word, None)

    def recall(self, alerts: Iterable[tuple[AlertRecord, Rule]]) -> None:
        """Take the words that the rules of `alerts` name, which are pending or firing."""
        self._words = {}
        for record, rule in alerts:
            for condition in (*rule.when, *rule.butterfly_when):
                if condition.quantity in WORDS and not condition.is_negated and record.condor_id is not None:
                    self.note(record.condor_id, condition.quantity, record.opened_at, value=True)

    def forget(self, keys: Iterable[str]) -> None:
        """Forget condors that are gone or have settled."""
        for key in keys:
            self._words.pop(key, None)
