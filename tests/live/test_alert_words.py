"""Words that hold until the price is clearly away, by themselves and over restarts."""

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.core.model.figures import Figures
from condord.core.occ import parse
from condord.core.rules.built_in import BUILT_IN
from condord.core.rules.facts import ABSENT
from condord.live import alert_words
from condord.live.alert_words import LastingWords
from condord.simulator.pricing import theoretical_value

from .accounts import EPOCH_AT, REPEATABLE, SPY_ID, option, position, status, tick
from .alert_parts import rule
from .fake_alerts import record
from .test_alert_facts import LAST_DAY, LEGS, at, held, new_york, risk
from .test_alert_watch import Watched

NEAR, EXPIRING = alert_words.WORDS
DAY = dt.timedelta(days=1)


def near(price, iv=0.2, now_at=None, *, holds=False):
    condor, terms = held()
    legs = {each: Figures(iv=iv) for each in LEGS}
    when = at(now_at or new_york(LAST_DAY, 15, 30))
    return alert_words.near_strike(condor, terms, risk(price=price, legs=legs), when, holds=holds)


@pytest.mark.parametrize(
    ("price", "expected"), [(600, False), (569, True), (572.8, True), (575, False), (627, True), (641, True)]
)
def test_near_a_strike_is_in_the_money_or_within_half_a_percent(price, expected):
    """With 45 minutes left, one sigma is 0.43 %: less than half a percent."""
    assert near(price) is expected


@pytest.mark.parametrize(("price", "expected"), [(572.8, True), (574.2, True), (574.4, False), (625.4, True), (625.2, False)])  # fmt: skip
def test_a_near_strike_stays_near_up_to_one_and_a_half_times_the_distance(price, expected):
    assert near(price, holds=True) is expected


def test_near_a_strike_is_within_one_sigma_of_the_time_left():
    assert near(582, now_at=EPOCH_AT)
    assert near(600, iv=0.05, now_at=EPOCH_AT) is False
    assert near(594, iv=0.05, now_at=EPOCH_AT) is False
    assert near(581, iv=0.05, now_at=EPOCH_AT) is False
    assert near(581, iv=0.05, now_at=EPOCH_AT, holds=True)


@pytest.mark.parametrize(
    ("price", "ivs", "holds", "expected"),
    [
        # No leg has a volatility: with 45 minutes left, a standard deviation of 300 % is 2.8 % or 16 dollars.
        (600, (None, None, None, None), False, False),
        (600, (None, None, None, None), True, False),
        (585, (None, None, None, None), False, None),
        (590, (None, None, None, None), False, False),
        (590, (None, None, None, None), True, None),
        (569, (None, None, None, None), False, True),
        # The short put is clearly away, and nobody bids for the wings: twice its volatility is 0.37 % or 2 dollars.
        (576, (None, 0.2, 0.2, None), False, False),
        (576, (None, 0.2, 0.2, None), True, False),
        # Twice the volatility of the nearest leg may reach the legs without one.
        (600, (0.9, 1.2, None, None), False, False),
        (618, (0.9, 1.2, None, 1.2), False, None),
        # A volatility of more than 300 % is its own bound.
        (605, (None, None, None, 4.0), False, False),
        (590, (None, None, None, 4.0), False, None),
        (None, (0.2, 0.2, 0.2, 0.2), False, None),
    ],
)
def test_a_leg_without_a_volatility_is_away_if_no_plausible_one_reaches_it(price, ivs, holds, expected):
    condor, terms = held()
    legs = {each: Figures(iv=iv) for each, iv in zip(LEGS, ivs, strict=True)}
    when = at(new_york(LAST_DAY, 15, 30))
    given_risk = risk(price=price, legs=legs)
    assert alert_words.near_strike(condor, terms, given_risk, when, holds=holds) is expected


def test_without_a_volatility_long_before_the_last_day_nearness_is_unknown():
    assert near(600, iv=None, now_at=EPOCH_AT) is None


@pytest.mark.parametrize("holds", [False, True])
def test_no_word_is_true_from_the_settlement_on(holds):
    assert near(569, now_at=new_york(LAST_DAY, 18), holds=holds) is None
    assert expiring(559, hour=18, holds=holds) is None


def expiring(price, day=LAST_DAY, positions=None, shares=0, *, hour=12, iv=0.2, holds=False):
    condor, terms = held(positions)
    legs = {each: Figures(iv=iv) for each in LEGS}
    return alert_words.long_put_expiring(
        condor, terms, risk(price=price, legs=legs), at(new_york(day, hour)), shares, holds=holds
    )


@pytest.mark.parametrize(("price", "shares", "expected"), [(559, 0, True), (561, 0, False), (559, 200, False), (559, 199, True), (None, 0, None)])  # fmt: skip
def test_a_long_put_expires_in_the_money_only_without_shares_to_deliver(price, shares, expected):
    assert expiring(price, shares=shares) is expected
    assert expiring(price, shares=shares, iv=None) is expected


@pytest.mark.parametrize(
    ("price", "hour", "iv", "shares", "expected"),
    [
        (561, 15, 0.2, 0, True),
        (561.3, 15, 0.2, 0, True),  # a quarter of a percent is 1.40
        (561.5, 15, 0.2, 0, False),
        (561.5, 12, 0.8, 0, True),  # a quarter sigma of four hours is 2.47
        (563.5, 12, 0.8, 0, False),
        (561, 15, 0.2, 200, False),  # the shares are there now
        (561, 15, None, 0, True),
        (561.3, 15, None, 0, True),
        (561.5, 12, None, 0, False),
        (None, 15, 0.2, 0, None),
    ],
)
def test_an_expiring_long_put_stays_so_until_it_is_clearly_out_of_the_money(price, hour, iv, shares, expected):
    assert expiring(price, hour=hour, iv=iv, shares=shares, holds=True) is expected


@pytest.mark.parametrize("holds", [False, True])
def test_before_its_last_day_no_long_put_expires(holds):
    assert expiring(559, dt.date(2026, 12, 17), holds=holds) is False


def test_european_puts_deliver_nothing():
    index = tuple(
        position(option(strike, right, "XSP"), sign)
        for strike, right, sign in ((560, "P", 1), (570, "P", -1), (630, "C", -1), (640, "C", 1))
    )
    assert expiring(559, positions=index) is ABSENT


@given(
    st.lists(st.floats(540, 660), min_size=1, max_size=20),
    st.sampled_from([0.05, 0.2, 0.6, None]),
    st.sampled_from([10, 13, 15]),
)
@REPEATABLE
def test_hysteresis_never_ends_a_word_that_would_begin_at_the_same_price(prices, iv, hour):
    """What is true without hysteresis is also true with it; clearly away from the strike, both agree."""
    for price in prices:
        for word in (
            lambda price, *, holds: near(price, iv, new_york(LAST_DAY, hour), holds=holds),
            lambda price, *, holds: expiring(price, iv=iv, hour=hour, holds=holds),
        ):
            begins, goes_on = word(price, holds=False), word(price, holds=True)
            assert goes_on is True or begins is not True
            assert begins is False or goes_on is not False


# What holds.


def test_a_word_holds_until_it_is_known_to_be_false():
    words = LastingWords()
    assert not words.is_true(SPY_ID, NEAR, None)
    for value, expected in ((None, False), (False, False), (True, True), (None, True), (False, False)):
        words.note(SPY_ID, NEAR, None, value)
        assert words.is_true(SPY_ID, NEAR, None) is expected
    words.note(SPY_ID, NEAR, None, value=True)
    assert not words.is_true(SPY_ID, EXPIRING, None)
    words.note(SPY_ID, NEAR, None, ABSENT)
    assert not words.is_true(SPY_ID, NEAR, None)


def test_a_later_holding_of_the_same_condor_starts_again():
    words = LastingWords()
    words.note(SPY_ID, NEAR, EPOCH_AT, value=True)
    assert words.is_true(SPY_ID, NEAR, EPOCH_AT)
    assert words.is_true(SPY_ID, NEAR, None)
    assert not words.is_true(SPY_ID, NEAR, EPOCH_AT + DAY)
    words.forget([SPY_ID, "other"])
    assert not words.is_true(SPY_ID, NEAR, EPOCH_AT)


def test_after_a_restart_words_are_true_for_the_alerts_that_are_pending_or_firing():
    words = LastingWords()
    words.note("gone", NEAR, None, value=True)
    words.recall(
        [
            (record(f"cutoff:{SPY_ID}"), rule("cutoff", ("minutesToOrderCutoff <= 60", "nearStrike"))),
            (record("far:QQQ-261218-1-2-3-4"), rule("far", ("not nearStrike", "breached"))),
            (record("mixed:QQQ"), rule("mixed", "nearStrike")),
        ]
    )
    assert [key for key in ("gone", SPY_ID, "QQQ-261218-1-2-3-4", "QQQ") if words.is_true(key, NEAR, None)] == [SPY_ID]


# A whole publisher, on the last day, with the price moving along a strike.

NARROW = {option(569): 1, option(570): -1, option(630, "C"): -1, option(631, "C"): 1}
NARROW_ID = "SPY-261218-569-570-630-631"
VOLATILITY = 1.84
"""One sigma of 75 minutes is 2.2 %, or 13 dollars, so that every leg is worth something."""


def last_hours(name):
    """A condor on its last day at 15:00, and one built-in rule."""
    held_ = tuple(position(symbol, sign) for symbol, sign in NARROW.items())
    service = Watched(*(each for each in BUILT_IN if each.name == name), positions=held_)
    service.clock_is_ahead_by = (new_york(LAST_DAY, 15) - EPOCH_AT).total_seconds() - service.now
    service.set_status(status())
    service.set_positions(held_)
    return service


def move(service, *prices):
    """The price of the underlying, and of all legs by the model; returns what fires and resolves."""
    for price in prices:
        second = service.now + service.clock_is_ahead_by
        ticks = []
        for symbol in NARROW:
            contract = parse(symbol)
            years = (75 * 60 - service.now + 100) / 86_400 / 365
            mid = theoretical_value(contract.right, price, contract.strike_mills / 1000, years, VOLATILITY).price
            ticks.append(tick(symbol, max(0.0001, mid - 0.001), max(0.0003, mid + 0.001), second))
        service.offer(*ticks)
        service.offer_stocks(tick("SPY", price - 0.01, price + 0.01, second))
        service.wait(5)
    return [kind for kind, _ in service.taken()]


def restarted(service, name):
    again = last_hours(name)
    again.wait(service.now - again.now)
    again.watch.switch()
    again.watch.note_orders()
    again.alerts.recall(service.alerts.records)
    again.wait(1)
    again.taken()
    return again


@pytest.mark.parametrize(
    ("name", "begins", "along", "away"),
    [
        ("order-cutoff", 582.0, (584.0, 581.0, 585.0, 582.0, 584.5), 596.0),
        ("long-put-expiring", 568.5, (570.0, 568.8, 571.5, 568.9, 571.0), 574.5),
    ],
)
def test_a_price_that_moves_along_a_strike_fires_once_even_across_a_restart(name, begins, along, away):
    service = last_hours(name)
    assert move(service, 600.0, along[0]) == []
    assert move(service, begins, *along) == ["firing"]
    again = restarted(service, name)
    assert move(again, *along) == []
    assert move(again, away) == ["resolved"]
    assert move(again, along[0]) == []
    assert move(again, begins) == ["firing"]


def test_a_word_that_is_true_ends_with_the_settlement():
    service = last_hours("order-cutoff")
    assert move(service, 569.0) == ["firing"]
    assert service.watch._subjects.words.is_true(NARROW_ID, NEAR, None)
    service.wait(76 * 60)
    assert [kind for kind, _ in service.taken()] == ["ended"]
    assert not service.watch._subjects.words.is_true(NARROW_ID, NEAR, None)
