import datetime as dt

import msgspec
import pytest

from condord.cli import formatting
from condord.live import wire
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


def test_the_age_of_an_event_that_never_happened_is_never():
    assert formatting.age(None, NOW) == "never"
    assert formatting.age(NOW - dt.timedelta(seconds=2), NOW) == "2.0 s ago"


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(-1, "just now"), (0, "just now"), (0.049, "just now"), (0.05, "0.1 s ago"), (0.1, "0.1 s ago")],
)
def test_an_age_is_never_shown_as_zero_seconds(seconds, expected):
    assert formatting.age(NOW - dt.timedelta(seconds=seconds), NOW) == expected


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "market open, closes 16:00 ET"),
        ({"isOpen": False}, "market closed, opens Mon Nov 23 09:30 ET"),
        ({"nextClose": None}, "market open"),
        ({"isOpen": None, "nextOpen": None, "nextClose": None}, "market —"),
    ],
)
def test_the_market_is_shown_with_the_time_of_its_next_change(changes, text):
    market = msgspec.convert(documents.status()["market"] | changes, wire.MarketJson)
    assert formatting.market(market, NOW) == text


def test_where_the_holdings_are_not_known_a_late_close_is_the_latest():
    def text(close, **options):
        market = msgspec.convert(documents.status()["market"] | {"nextClose": close}, wire.MarketJson)
        return formatting.market(market, NOW, **options)

    assert text("2026-11-20T21:15:00Z", is_latest=True) == "market open, closes by 16:15 ET"
    assert text("2026-11-20T21:15:00Z") == "market open, closes 16:15 ET"
    assert text("2026-11-20T21:00:00Z", is_latest=True) == "market open, closes 16:00 ET"


def test_a_time_on_another_day_includes_the_day():
    assert formatting.moment(NOW, NOW) == "10:31 ET"
    assert formatting.moment(NOW, NOW, "%H:%M:%S") == "10:31:08 ET"
    assert formatting.moment(NOW - dt.timedelta(days=1), NOW, "%H:%M:%S") == "Thu Nov 19 10:31:08 ET"


def test_days_can_be_abbreviated():
    assert [formatting.days(count, unit="d") for count in (28, 1, 0, -1)] == ["28 d", "1 d", "today", "expired"]


@pytest.mark.parametrize(("value", "text"), [(11.8, "+11.80"), (-1234.5, "-1,234.50"), (-0.001, "0.00"), (None, "—")])
def test_a_greek_has_its_sign(value, text):
    assert formatting.greek(value) == text


@pytest.mark.parametrize(("value", "text"), [(0.4, "+0.40 %"), (-1.234, "-1.23 %"), (0.001, "0.00 %"), (None, "—")])
def test_a_change_has_its_sign(value, text):
    assert formatting.change(value) == text


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


def test_each_fault_has_a_sentence():
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


def test_a_server_clock_ahead_of_ours_is_reported_instead_of_an_age():
    now = NOW - dt.timedelta(minutes=5)
    assert formatting.age(NOW, now) == "5 min 0 s ahead of this clock"
    assert formatting.age(NOW, NOW - dt.timedelta(seconds=1.5)) == "1.5 s ahead of this clock"
    notice = msgspec.convert(documents.notice(since=NOW.isoformat(), text="A text"), wire.NoticeJson)
    assert "seen 5 min 0 s ahead of this clock: A text" in formatting.notice(notice, now)
    status = msgspec.convert(documents.status(state="halted", reason="a reason", since=NOW.isoformat()), wire.Status)
    assert formatting.trouble(status, now) == ["halted since 5 min 0 s ahead of this clock: a reason"]


@pytest.mark.parametrize(
    ("credit", "text"), [(2.35, "2.35 credit"), (-6.55, "6.55 debit"), (0, "0.00 credit"), (None, "—")]
)
def test_an_entry_is_called_credit_or_debit_instead_of_having_a_sign(credit, text):
    assert formatting.entry(credit) == text


@pytest.mark.parametrize(
    ("value", "direction", "text"),
    [(1.2, "short", "1.20"), (-0.05, "short", "-0.05"), (-5.35, "long", "5.35"), (0.1, "long", "-0.10"),
     (0, "long", "0.00"), (None, "long", "—")],
)  # fmt: skip
def test_a_price_to_close_is_positive_in_the_usual_direction(value, direction, text):
    assert formatting.closing_price(value, direction) == text


def test_a_loss_without_a_bound_is_unlimited_and_an_unknown_one_a_dash():
    assert formatting.loss(None, is_unlimited=True) == "unlimited"
    assert formatting.loss(None, is_unlimited=False) == "—"
    assert formatting.loss(1530, is_unlimited=True) == "1,530.00"


def test_a_date_has_its_year_unless_it_is_this_one():
    today = dt.date(2026, 11, 20)
    assert formatting.date(dt.date(2026, 12, 4), today) == "Dec 4"
    assert formatting.date(dt.date(2027, 2, 19), today) == "Feb 19, 2027"


@pytest.mark.parametrize(("value", "text"), [(48.94, "49 %"), (-0.4, "0 %"), (-18.6, "-19 %"), (None, "—")])
def test_a_percentage_of_profit_is_whole(value, text):
    assert formatting.percent(value) == text


@pytest.mark.parametrize(("value", "text"), [(12.345, "12.3 %"), (0.044, "0.04 %"), (-0.5, "-0.50 %"), (None, "—")])
def test_a_distance_has_a_second_decimal_below_1_percent(value, text):
    assert formatting.nearness(value) == text
