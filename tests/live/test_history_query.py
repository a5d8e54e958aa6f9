import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.core.market_hours import exchange_day
from condord.live.history_query import ParameterError, history_query, parse_range, trades_query
from condord.live.wire_history import HistoryQuery

ID = "SPY-261218-560-570-630-640"
DAYS = st.dates(dt.date(1970, 1, 1), dt.date(2199, 12, 31))


def utc(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text + "+00:00")


def refusal(parse, *pairs: tuple[str, str]) -> str:
    with pytest.raises(ParameterError) as caught:
        parse(pairs)
    return str(caught.value)


def test_without_parameters_the_whole_history_of_the_account_is_meant():
    expected = HistoryQuery(condor_id=None, from_at=None, until_at=None, points=600)
    assert history_query([]) == history_query([("from", ""), ("to", "")]) == expected
    assert trades_query([]) == (None, None)


def test_each_parameter_has_its_effect():
    pairs = [("condor", ID), ("from", "2026-11-19"), ("to", "2026-11-20T15:30:00Z"), ("points", "5000")]
    assert history_query(pairs) == HistoryQuery(
        condor_id=ID, from_at=utc("2026-11-19T05:00:00"), until_at=utc("2026-11-20T15:30:00"), points=5000
    )


@pytest.mark.parametrize(
    ("day", "first", "end"),
    [
        ("2026-11-20", "2026-11-20T05:00:00", "2026-11-21T05:00:00"),
        ("2026-03-08", "2026-03-08T05:00:00", "2026-03-09T04:00:00"),
        ("2026-11-01", "2026-11-01T04:00:00", "2026-11-02T05:00:00"),
    ],
)
def test_a_date_is_a_day_at_the_exchange_of_24_hours_or_23_or_25(day, first, end):
    assert trades_query([("from", day), ("to", day)]) == (utc(first), utc(end))


@given(DAYS, DAYS)
def test_both_days_of_a_range_are_included(first, last):
    first, last = sorted((first, last))
    from_at, until_at = parse_range(str(first), str(last))
    second = dt.timedelta(seconds=1)
    assert exchange_day(from_at) == first
    assert exchange_day(until_at - second) == last
    if first > dt.date(1970, 1, 1):
        assert exchange_day(from_at - second) == first - dt.timedelta(days=1)
    assert exchange_day(until_at) == last + dt.timedelta(days=1)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-20T15:30:00Z", "2026-11-20t15:30:00z", "2026-11-20 15:30:00Z", "2026-11-20T15:30Z",
        "2026-11-20T10:30:00-05:00", "2026-11-20T16:30:00+01:00", "2026-11-20T16:30:00 01:00",
        "2026-11-20T15:30:00.000Z", "2026-11-20T15:30:00.000000000Z", "2026-11-20T15:30:00-00:00",
    ],
)  # fmt: skip
def test_an_instant_has_an_offset(text):
    assert parse_range(text, text) == (utc("2026-11-20T15:30:00"),) * 2


@given(st.datetimes(), st.integers(1971, 2198), st.integers(-1439, 1439))
def test_any_instant_is_understood_as_it_is_written(local, year, minutes):
    day = min(local.day, 28)
    at = local.replace(year=year, day=day, tzinfo=dt.timezone(dt.timedelta(minutes=minutes)))
    assert parse_range(at.isoformat(), None)[0] == at


@given(st.text(min_size=1).filter(lambda text: not text[0].isdecimal()))
def test_any_other_text_is_refused_with_its_name(text):
    for name in ("from", "to", "points"):
        assert refusal(history_query, (name, text)).startswith(f"{name}: ")


@pytest.mark.parametrize(
    "text",
    [
        "yesterday", "2026-02-30", "2026-13-01", "2026-1-2", "20261120", "2026-W47-5", "2026-11-20T25:00:00Z", "+1",
        "2026-11-20T23:59:60Z", "2026-11-20T15:30:00+24:00", "2026-11-20Z", "15:30:00Z", "\uff12026-11-20", "2026-11-20 ",
    ],
)  # fmt: skip
def test_a_time_that_is_neither_a_date_nor_an_instant_is_refused(text):
    assert refusal(trades_query, ("to", text)) == (
        f"to: {text!r} is not a date at the exchange such as 2026-11-20, or an instant with an offset such as"
        " 2026-11-20T15:30:00Z"
    )


@pytest.mark.parametrize("text", ["2026-11-20T15:30:00", "2026-11-20 15:30"])
def test_an_instant_without_an_offset_is_refused(text):
    assert refusal(history_query, ("from", text)) == (
        f"from: {text!r} has no offset; append Z for UTC, or one such as -05:00"
    )


@pytest.mark.parametrize("text", ["1969-12-31", "2200-01-01", "0001-01-01T00:00:00+14:00", "9999-12-31"])
def test_a_year_out_of_range_is_refused(text):
    assert refusal(trades_query, ("from", text)) == f"from: {text!r} is not in the years 1970 to 2199"


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2026-11-21", "2026-11-20"),
        ("2026-11-20T15:30:01Z", "2026-11-20T15:30:00Z"),
        ("2026-11-20T15:30:00Z", "2026-11-19"),
        ("2026-11-21T05:00:00Z", "2026-11-20"),
        ("2026-11-20", "2026-11-20T04:59:59Z"),
    ],
)
def test_a_range_that_ends_before_it_begins_is_refused(first, last):
    assert refusal(history_query, ("from", first), ("to", last)) == (
        f"from: {first!r} is after the end of the range, {last!r}"
    )


@pytest.mark.parametrize("text", ["", "0", "5001", "-1", "1.5", "x", "1e3", "10000000000", "\u0663"])
def test_points_are_a_whole_number_from_1_to_5000(text):
    assert refusal(history_query, ("points", text)) == f"points: {text!r} is not a whole number from 1 to 5000"


def test_an_unknown_parameter_is_refused_without_its_value():
    assert refusal(history_query, ("token", "a-secret")) == (
        "token: there is no such parameter; allowed are condor, from, to, points"
    )
    assert refusal(trades_query, ("points", "5")) == "points: there is no such parameter; allowed are from, to"


def test_a_repeated_parameter_is_refused():
    assert refusal(history_query, ("from", "2026-11-19"), ("from", "2026-11-20")) == (
        "from: it is given twice, the second time as '2026-11-20'; it is allowed once"
    )


def test_an_empty_condor_is_refused():
    assert refusal(history_query, ("condor", "")) == (
        "condor: it is empty; give the id of a condor, or leave it out for all open condors"
    )


def test_a_token_in_the_query_is_left_to_the_guard():
    assert history_query([("access_token", "x"), ("points", "5")]).points == 5


def test_a_long_value_is_shortened():
    assert len(refusal(history_query, ("from", "x" * 1000))) < 250
    assert len(refusal(history_query, ("x" * 1000, ""))) < 150
