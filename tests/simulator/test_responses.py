import datetime as dt

import pytest
from starlette.requests import Request

from condord.simulator import responses


def request(query):
    return Request({"type": "http", "query_string": query.encode(), "headers": []})


def test_errors_have_a_message_and_an_optional_code():
    assert responses.error_response(429, "too many requests.").body == b'{"message":"too many requests."}'
    assert responses.not_found("gone").body == b'{"code":40410000,"message":"gone"}'
    assert responses.not_found("gone").status_code == 404


def test_integers_within_the_bounds_are_accepted():
    assert responses.integer_parameter(request(""), "limit", 50, 500) == 50
    assert responses.integer_parameter(request("limit=7"), "limit", 50, 500) == 7


@pytest.mark.parametrize("text", ["0", "501", "-1", "x", "1e3", "٣", "9" * 5000])
def test_other_integers_are_refused(text):
    with pytest.raises(responses.BadRequest, match="invalid limit"):
        responses.integer_parameter(request(f"limit={text}"), "limit", 50, 500)


def test_lists_are_split_at_commas():
    assert responses.symbols_parameter(request("symbols=A,B,,A")) == {"A", "B"}
    assert responses.symbols_parameter(request("")) == set()


def test_flags_are_true_in_any_case():
    assert responses.flag_parameter(request("nested=True"), "nested")
    assert not responses.flag_parameter(request("nested=no"), "nested")


def test_instants_have_a_time_zone_and_other_texts_are_refused():
    assert responses.instant(None) is responses.instant("") is None
    assert responses.instant("2026-11-20").isoformat() == "2026-11-20T00:00:00+00:00"
    # A plus sign that was not escaped arrives as a space.
    assert responses.instant("2026-11-20T10:00:00 01:00").isoformat() == "2026-11-20T10:00:00+01:00"
    with pytest.raises(responses.BadRequest, match="soon"):
        responses.instant("soon")


def test_an_instant_without_a_time_zone_is_in_utc_or_in_new_york():
    text = "2026-11-20"
    assert responses.instant(text) == dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
    assert responses.exchange_instant(text) == dt.datetime(2026, 11, 20, 5, tzinfo=dt.UTC)
    assert responses.exchange_instant(f"{text}T10:00:00Z") == responses.instant(f"{text}T10:00:00Z")
    assert responses.exchange_instant("") is None
