import datetime as dt

import msgspec
import pytest

from condord.cli import formatting
from condord.live import wire, wire_condor
from tests.fakes import documents

NOW = dt.datetime(2026, 11, 20, 15, 31, 8, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("value", "price", "money", "gain"),
    [
        (None, "—", "—", "—"),
        (0, "0.00", "0.00", "0.00"),
        (2.35, "2.35", "2.35", "+2.35"),
        (-2.5, "-2.50", "-2.50", "-2.50"),
        (1.2025, "1.2025", "1.20", "+1.20"),
        (17.375, "17.375", "17.38", "+17.38"),
        (-0.001, "-0.001", "-0.00", "0.00"),
        (1234567, "1,234,567.00", "1,234,567.00", "+1,234,567.00"),
    ],
)
def test_dollars_are_formatted_as_a_price_a_sum_or_a_gain(value, price, money, gain):
    assert (formatting.price(value), formatting.money(value), formatting.gain(value)) == (price, money, gain)


@pytest.mark.parametrize(
    ("value", "text"), [(None, "—"), (560, "560"), (197.5, "197.5"), (12345.625, "12345.625"), (-1, "-1")]
)
def test_a_strike_has_no_trailing_zeros(value, text):
    assert formatting.number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, "0.0 s"), (0.44, "0.4 s"), (59.9, "59 s"), (60, "1 min 0 s"), (3725, "1 h 2 min"), (200000, "2 d 7 h")],
)
def test_a_duration_has_its_two_largest_units(seconds, text):
    assert formatting.span(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(28, "28 days"), (1, "1 day"), (0, "today"), (-1, "expired")])
def test_days_to_expiration_are_words(count, text):
    assert formatting.days(count) == text


def test_the_age_of_what_never_happened_is_never():
    assert formatting.age(None, NOW) == "never"
    assert formatting.age(NOW - dt.timedelta(seconds=2), NOW) == "2.0 s ago"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "market open, closes 21:00 UTC"),
        ({"isOpen": False}, "market closed, opens Mon 23 Nov 14:30 UTC"),
        ({"nextClose": None}, "market open"),
        ({"isOpen": None, "nextOpen": None, "nextClose": None}, "market —"),
    ],
)
def test_the_market_is_shown_with_the_time_of_its_next_change(changes, text):
    market = msgspec.convert(documents.status()["market"] | changes, wire.MarketJson)
    assert formatting.market(market, NOW) == text


def test_a_time_on_another_day_includes_the_day():
    assert formatting.moment(NOW, NOW) == "15:31 UTC"
    assert formatting.moment(NOW, NOW, "%H:%M:%S") == "15:31:08"
    assert formatting.moment(NOW - dt.timedelta(days=1), NOW, "%H:%M:%S") == "Thu 19 Nov 15:31:08"


def test_days_can_be_short():
    assert [formatting.days(count, unit="d") for count in (28, 1, 0, -1)] == ["28 d", "1 d", "today", "expired"]


@pytest.mark.parametrize(("value", "text"), [(11.8, "+11.80"), (-1234.5, "-1,234.50"), (-0.001, "0.00"), (None, "—")])
def test_a_greek_has_its_sign(value, text):
    assert formatting.greek(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.4, "+0.40 %"), (-1.234, "-1.23 %"), (0.001, "0.00 %"), (None, "—")])
def test_a_change_has_its_sign(value, text):
    assert formatting.change(value) == text


def test_flags_are_ordered_by_importance():
    value = documents.valuation(missing=["SPY261218P00560000"], unconfirmed=True)
    condor = documents.condor(valuation=value, brokenWing=True, ambiguous=True)
    assert formatting.flags(msgspec.convert(condor, wire_condor.CondorJson), {}, old=True) == (
        "old, incomplete: no usable quote of SPY261218P00560000, unconfirmed, broken wing, ambiguous"
    )


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"symbols": []}, "notStreamed, seen 1 min 8 s ago: Alpaca does not stream these contracts"),
        ({"symbols": list("VWXYZ")},
         "notStreamed, seen 1 min 8 s ago: Alpaca does not stream these contracts (V, W, X, Y, Z)"),
        ({"symbols": list("VWXYZUT")},
         "notStreamed, seen 1 min 8 s ago: Alpaca does not stream these contracts (V, W, X, Y, Z and 2 more)"),
        ({"code": "expiresToday", "text": "SPY1\x1b expires today", "symbols": ["SPY1", "SP\nY2"]},
         "expiresToday, seen 1 min 8 s ago: SPY1  expires today (SP Y2)"),
    ],
)  # fmt: skip
def test_a_notice_names_at_most_five_contracts_and_none_twice(changes, text):
    assert formatting.notice(msgspec.convert(documents.notice(**changes), wire.NoticeJson), NOW) == text


def test_trouble_has_a_sentence_for_each_fault():
    status = documents.status(
        state="reconnecting",
        reason="the option stream cannot be reached",
        code="unreachable",
        positions={"readAt": None, "error": {"code": "unreachable", "text": "no route"}, "breaker": "open"},
    )
    assert formatting.trouble(msgspec.convert(status, wire.Status), NOW) == [
        "reconnecting for 1 min 8 s (unreachable): the option stream cannot be reached",
        "positions, last read never (unreachable): no route",
        "positions are not requested now: the breaker is open",
    ]
    assert formatting.trouble(msgspec.convert(documents.status(), wire.Status), NOW) == []
