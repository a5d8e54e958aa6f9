"""Every quantity and word, with its unit, and when it is not known or does not apply."""

import datetime as dt
import math

import msgspec
import pytest

from condord.core.calendar import Calendar
from condord.core.cutoffs import CutoffSettings
from condord.core.dividend import Dividend
from condord.core.market_hours import hours_of
from condord.core.model.distance import Distance
from condord.core.model.figures import Figures
from condord.core.model.probability import Probabilities
from condord.core.model.risk import Greeks, Risk
from condord.core.quote import judge
from condord.core.rules.catalogue import QUANTITIES
from condord.core.rules.evaluating import holds
from condord.core.rules.facts import ABSENT, BEYOND, Between
from condord.core.rules.parsing import parse as parse_condition
from condord.live import alert_facts
from condord.live.alert_facts import CondorTerms, Exercise, moment
from condord.live.alert_pl import PlRange
from condord.live.chains import chains_of
from condord.live.wire_risk import AccountJson, UnderlyingJson

from .accounts import (
    C630,
    C640,
    CLOSED,
    EPOCH_AT,
    P560,
    P570,
    PublishingService,
    option,
    position,
    qqq,
    spy,
    status,
    tick,
)

LEGS = (P560, P570, C630, C640)
LAST_DAY = dt.date(2026, 12, 18)


def new_york(day, hour, minute=0):
    return hours_of(day, dt.time(hour, minute), dt.time(16)).open_at


def butterfly():
    """A short butterfly at 600 for a credit of 4.00: breakevens at 596 and 604."""
    strikes = ((590, "P", 1, 1.0), (600, "P", -1, 3.0), (600, "C", -1, 3.0), (610, "C", 1, 1.0))
    return tuple(position(option(strike, right), sign, price) for strike, right, sign, price in strikes)


def held(positions=None, **fields):
    """A condor with its terms, as of the first minute of `EPOCH_AT`."""
    service = PublishingService(positions or spy())
    reading = service.account.follow(service.account.shown, dt.date(2026, 11, 20), EPOCH_AT)
    [chain] = chains_of(reading)
    [condor] = chain.condors
    condor = msgspec.structs.replace(condor, **fields)
    ends = alert_cutoffs(chain)
    return condor, CondorTerms(name="it", chain=chain, cutoffs=ends)


def alert_cutoffs(chain):
    from condord.core.cutoffs import cutoffs

    return cutoffs(chain.key.expiry, chain.ending, chain.style, Calendar(), CutoffSettings())


def at(now_at=EPOCH_AT, *, is_session=True, calendar=Calendar()):  # noqa: B008 - it is frozen
    return moment(calendar, now_at, is_session=is_session)


def far(dollars=10.0, sigmas=0.5):
    return Distance(dollars=dollars, percent=dollars / 6, sigmas=sigmas)


def risk(**fields):
    defaults = {"price": 600.0, "legs": {}, "put": far(), "call": far(20.0, 1.0), "tested": "none", "breached": False}
    return Risk(**{**defaults, **fields})


def figures(price, positions=None, **fields):
    condor, _ = held(positions)
    return alert_facts.risk_values(condor, risk(price=price, **fields))


# When.


@pytest.mark.parametrize(
    ("hour", "minute", "is_dated", "is_opening"),
    [(8, 59, False, False), (9, 0, True, False), (9, 30, True, True), (9, 31, True, True), (9, 32, True, False)],
)
def test_dates_count_from_nine_and_the_first_two_minutes_are_the_opening(hour, minute, is_dated, is_opening):
    when = at(new_york(LAST_DAY, hour, minute))
    assert (when.is_dated, when.is_opening) == (is_dated, is_opening)


def test_on_a_day_without_a_session_dates_do_not_count():
    assert not at(new_york(dt.date(2026, 11, 21), 12)).is_dated


def test_quantities_should_be_known_in_a_session_after_its_opening():
    assert at().is_watched
    assert not at(is_session=False).is_watched
    assert not at(new_york(LAST_DAY, 9, 31)).is_watched
    assert not at(new_york(LAST_DAY, 2, 0)).is_watched  # in a simulated session at night no date counts


def test_before_nine_nothing_that_depends_on_the_date_is_known():
    values = dict.fromkeys(QUANTITIES, True)
    found = alert_facts.known(values, at(new_york(LAST_DAY, 8)))
    assert values.keys() - found.keys() == {
        "daysToExpiration",
        "daysAtOpening",
        "minutesToOrderCutoff",
        "minutesToLiquidation",
        "expiresToday",
        "longPutExpiring",
    }


def test_in_the_opening_only_facts_of_the_daemon_are_known():
    found = alert_facts.known(dict.fromkeys(QUANTITIES, True), at(new_york(LAST_DAY, 9, 31)))
    assert found.keys() == {"brokenCondor", "uncoveredShort", "assignment", "expiresToday", "feedDown", "blind"}


# Dates.


def dates(now_at=EPOCH_AT, positions=None, **fields):
    condor, terms = held(positions, **fields)
    return alert_facts.date_values(condor, terms, at(now_at))


def test_days_to_the_expiration_now_and_at_the_opening():
    values = dates(opened_at=EPOCH_AT - dt.timedelta(days=10))
    assert (values["daysToExpiration"], values["daysAtOpening"]) == (28, 38)
    assert dates()["daysAtOpening"] is None


def test_minutes_to_the_cutoffs_are_negative_afterwards():
    values = dates(new_york(LAST_DAY, 15))
    assert (values["minutesToOrderCutoff"], values["minutesToLiquidation"]) == (30, 15)
    values = dates(new_york(LAST_DAY, 15, 31))
    assert (values["minutesToOrderCutoff"], values["minutesToLiquidation"]) == (-1, -16)


def test_european_contracts_are_not_liquidated():
    index = tuple(
        position(option(strike, right, "XSP"), sign)
        for strike, right, sign in ((560, "P", 1), (570, "P", -1), (630, "C", -1), (640, "C", 1))
    )
    values = dates(new_york(LAST_DAY, 15), index)
    assert (values["minutesToOrderCutoff"], values["minutesToLiquidation"]) == (60, ABSENT)


@pytest.mark.parametrize(
    ("now_at", "opened_at", "expected"),
    [
        (new_york(LAST_DAY, 10), None, True),
        (new_york(LAST_DAY, 10), EPOCH_AT, True),
        (new_york(LAST_DAY, 10), new_york(LAST_DAY, 9, 40), False),
        (new_york(dt.date(2026, 12, 17), 10), None, False),
    ],
)
def test_expires_today_is_false_for_a_condor_opened_today(now_at, opened_at, expected):
    assert dates(now_at, opened_at=opened_at)["expiresToday"] is expected


# Figures of the model.


def test_the_distance_belongs_to_the_nearer_side():
    values = figures(600.0)
    assert (values["distanceSigmas"], values["distancePercent"]) == (0.5, pytest.approx(10 / 6))
    assert (values["breached"], values["tested"]) == (False, False)


@pytest.mark.parametrize(
    ("put", "call", "expected"),
    [
        (Distance(), Distance(), None),
        (far(-1.0, None), far(61.0, None), BEYOND),
        (far(-1.0, -0.1), far(61.0, None), -0.1),
        (far(10.0, None), far(20.0, 1.0), Between(0.0, 1.0)),
        (far(10.0, None), far(20.0, None), Between(0.0, math.inf)),
    ],
    ids=["nothing", "beyond without a volatility", "beyond", "one known", "no volatility"],
)
def test_without_a_volatility_only_the_side_is_known(put, call, expected):
    price = None if put == Distance() else 600.0
    assert figures(price, put=put, call=call)["distanceSigmas"] == expected


def test_a_butterfly_without_breakevens_has_no_distance():
    nothing = {"put": Distance(), "call": Distance()}
    values = figures(600.0, butterfly(), **nothing)
    assert (values["distanceSigmas"], values["distancePercent"], values["probabilityOfTouch"]) == (ABSENT,) * 3
    values = figures(600.0, butterfly(), put=far(), call=Distance(), probabilities=Probabilities(touch_put=30.0))
    assert (values["distanceSigmas"], values["probabilityOfTouch"]) == (0.5, 30.0)
    condor, _ = held(butterfly(), credit_e4=None)
    values = alert_facts.risk_values(condor, risk(**nothing))
    assert (values["distanceSigmas"], values["probabilityOfTouch"]) == (None, None)


def test_after_the_settlement_nothing_is_known():
    values = figures(600.0, put=Distance(), call=Distance(), missing=("expired",))
    assert (values["distanceSigmas"], values["probabilityOfTouch"]) == (None, None)


@pytest.mark.parametrize("tested", ["none", "put", None])
def test_tested_is_false_true_or_not_known(tested):
    assert figures(600.0, tested=tested)["tested"] == {"none": False, "put": True, None: None}[tested]


@pytest.mark.parametrize(("sigmas", "expected"), [(0.2, True), (0.25, True), (0.3, None)])
def test_a_near_side_is_tested_even_if_the_other_is_not_known(sigmas, expected):
    """`distanceSigmas` is a range then, so that the word and the comparison of the built-in rule agree."""
    values = figures(600.0, put=far(5.0, sigmas), call=far(30.0, None), tested=None)
    assert values["tested"] is expected
    condition = parse_condition("distanceSigmas <= 0.25")
    assert holds(condition, values["distanceSigmas"]) is expected


def test_a_long_condor_is_neither_tested_nor_breached():
    values = figures(600.0, qqq(), tested=None, breached=False)
    assert (values["tested"], values["breached"]) == (ABSENT, ABSENT)


def test_greeks_are_dollars_and_the_short_delta_is_the_larger_one():
    legs = {P560: Figures(delta=-0.1), P570: Figures(delta=-0.2), C630: Figures(delta=0.3), C640: Figures(delta=0.9)}
    values = figures(600.0, greeks=Greeks(delta=-3.2, theta=11.8), legs=legs)
    assert (values["delta"], values["theta"], values["shortDelta"]) == (-3.2, 11.8, 0.3)
    assert figures(600.0, legs={C630: Figures(delta=0.3)})["shortDelta"] == Between(0.3, 1.0)
    assert figures(600.0)["shortDelta"] is None


def test_probabilities_are_percent_and_the_larger_touch_counts():
    odds = Probabilities(profit=64.8, touch_put=67.0, touch_call=11.8)
    values = figures(600.0, probabilities=odds)
    assert (values["probabilityOfProfit"], values["probabilityOfTouch"]) == (64.8, 67.0)
    values = figures(600.0, probabilities=Probabilities(touch_call=11.8))
    assert (values["probabilityOfProfit"], values["probabilityOfTouch"]) == (None, Between(11.8, 100.0))
    assert figures(600.0, probabilities=Probabilities(touch_call=100.0))["probabilityOfTouch"] == 100.0
    assert figures(None)["probabilityOfTouch"] is None


# Dividends.

THURSDAY = dt.date(2026, 12, 17)


def dividend(day=LAST_DAY, amount_e6=1_970_000):
    return Dividend(symbol="SPY", ex_date=day, amount_e6=amount_e6, source="alpaca")


def less(price=640.0, *, call=None, put=(0.5, 0.7), now_at=None, paid=dividend(), positions=None):  # noqa: B008
    condor, terms = held(positions)
    quotes = [None if each is None else judge(tick(C630, *each), None) for each in (call, put)]
    exercise = Exercise(dividend=paid, call=quotes[0], put=quotes[1])
    when = at(now_at or new_york(THURSDAY, 12))
    return alert_facts.extrinsic_less_than_dividend(condor, terms, risk(price=price), when, exercise)


def test_the_dividend_fact_is_the_dividend_less_the_put_of_the_same_strike():
    assert less() == pytest.approx(1.97 - 0.6)


def test_without_the_put_of_the_same_strike_the_extrinsic_value_of_the_call_counts():
    assert less(put=None, call=(10.9, 11.1)) == pytest.approx(1.97 - 1.0)
    assert less(put=None, call=None) is None
    assert less(put=(0.0, 9.0), call=(10.0, 9.0)) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"paid": None},
        {"paid": dividend(dt.date(2026, 12, 21))},
        {"price": 629.0},
        {"now_at": new_york(dt.date(2026, 12, 16), 12)},
        {"now_at": new_york(dt.date(2026, 12, 19), 12), "paid": dividend(dt.date(2026, 12, 21))},
    ],
    ids=["none", "later", "out of the money", "two days before", "no session"],
)
def test_the_dividend_fact_applies_only_in_the_session_before_and_in_the_money(fields):
    assert less(**fields) is ABSENT


def test_the_dividend_fact_is_known_from_the_open_and_with_a_price():
    assert less(now_at=new_york(THURSDAY, 9, 29)) is None
    assert less(price=None) is None


def test_the_session_before_a_monday_is_the_friday():
    assert less(now_at=new_york(dt.date(2026, 12, 11), 12), paid=dividend(dt.date(2026, 12, 14))) > 0


def test_european_calls_are_not_exercised_early():
    index = tuple(
        position(option(strike, right, "XSP"), sign)
        for strike, right, sign in ((560, "P", 1), (570, "P", -1), (630, "C", -1), (640, "C", 1))
    )
    assert less(positions=index) is ABSENT


def test_the_short_call_of_a_long_condor_is_the_outer_one():
    condor, _ = held(qqq())
    assert alert_facts.short_call(condor).strike_mills == 460_000


# Underlyings and the account.


def underlying(**fields):
    defaults = dict.fromkeys(UnderlyingJson.__struct_fields__)
    defaults |= {
        "symbol": "SPY",
        "price": 582.1,
        "unconfirmed": False,
        "percent_change": 0.4,
        "shares": 0,
        "delta": 12.4,
    }
    return UnderlyingJson(**{**defaults, **fields})


def test_an_underlying_has_a_price_a_change_and_a_delta():
    values = alert_facts.underlying_values(underlying())
    assert values == {"underlyingPrice": 582.1, "percentChange": 0.4, "underlyingDelta": 12.4}


def test_a_price_that_is_not_confirmed_is_not_known():
    values = alert_facts.underlying_values(underlying(unconfirmed=True))
    assert values == {"underlyingPrice": None, "percentChange": None, "underlyingDelta": 12.4}


def totals(**fields):
    service = PublishingService(spy())
    service.offer(*(tick(each, 1.0, 1.2) for each in LEGS))
    return msgspec.structs.replace(service.edition.totals, **{"unrealized_pl": 512.5, "day_pl": 60, **fields})


def test_the_account_has_the_sums_and_its_buying_power():
    balances = AccountJson(**{**dict.fromkeys(AccountJson.__struct_fields__), "read_at": EPOCH_AT, "options_buying_power": 20_000})  # fmt: skip
    values = alert_facts.account_values(totals(max_loss=4100), balances, [PlRange(5_125_000, 5_125_000)])
    assert values == {
        "accountUnrealizedPl": 512.5,
        "accountDayPl": 60.0,
        "accountMaxLoss": 4100,
        "optionsBuyingPower": 20_000,
    }


def test_the_profit_of_the_account_has_the_ranges_of_its_condors():
    values = alert_facts.account_values(totals(), None, [PlRange(4_125_000, 6_125_000), PlRange(0, 0)])
    assert (values["accountUnrealizedPl"], values["accountDayPl"]) == (Between(412.5, 612.5), Between(-40.0, 160.0))
    assert values["optionsBuyingPower"] is None


def test_the_profit_of_the_account_is_unknown_while_a_condors_is():
    assert "accountUnrealizedPl" not in alert_facts.account_values(totals(), None, [None])
    assert "accountUnrealizedPl" not in alert_facts.account_values(totals(unrealized_pl=None), None, [])
    assert "accountDayPl" not in alert_facts.account_values(totals(day_pl=None), None, [PlRange(0, 0)])


def test_a_feed_is_down_in_session_unless_the_stream_is_live_and_prices_are_confirmed():
    prices = {"SPY": underlying()}
    assert alert_facts.feed_down(status(), prices, at()) is None
    assert alert_facts.feed_down(status("stale", reason=None), prices, at()) == "the option stream is stale"
    assert alert_facts.feed_down(status("halted"), prices, at()) == "it is halted"
    stale = {"SPY": underlying(unconfirmed=True)}
    assert alert_facts.feed_down(status(), stale, at()) == "the prices of SPY are not confirmed"
    assert alert_facts.feed_down(status("closed", market=CLOSED), stale, at(is_session=False)) is None


def test_a_condor_is_blind_without_a_confirmed_profit_in_session():
    service = PublishingService(spy())
    [(_, unknown)] = service.edition.valuations.core.values()
    assert alert_facts.is_blind(unknown, at())
    assert not alert_facts.is_blind(unknown, at(is_session=False))
    service.offer(*(tick(each, 1.0, 1.2) for each in LEGS))
    [(_, value)] = service.edition.valuations.core.values()
    assert not alert_facts.is_blind(value, at())
    assert alert_facts.is_blind(msgspec.structs.replace(value, unconfirmed=True), at())


def test_every_quantity_of_the_catalogue_has_facts():
    """The facts of a whole publisher name every quantity of their scope."""
    from .test_alert_watch import Watched

    service = Watched(positions=spy())
    service.quote()
    for key, scope in ((("SPY-261218-560-570-630-640"), "condor"), ("SPY", "underlying"), ("account", "account")):
        names = {name for name, quantity in QUANTITIES.items() if quantity.scope == scope}
        assert names - service.values(key).keys() <= {"dayPl", "accountDayPl"}, scope
