import pytest
from starlette.requests import Request

from condord.simulator import answers


def request(query):
    return Request({"type": "http", "query_string": query.encode(), "headers": []})


def test_errors_have_a_message_and_a_code_where_there_is_one():
    assert answers.error(429, "too many requests.").body == b'{"message":"too many requests."}'
    assert answers.absent("gone").body == b'{"code":40410000,"message":"gone"}'
    assert answers.absent("gone").status_code == 404


def test_integers_are_read_within_their_bounds():
    assert answers.integer(request(""), "limit", 50, 500) == 50
    assert answers.integer(request("limit=7"), "limit", 50, 500) == 7


@pytest.mark.parametrize("text", ["0", "501", "-1", "x", "1e3", "٣", "9" * 5000])
def test_other_integers_are_refused(text):
    with pytest.raises(answers.BadRequest, match="invalid limit"):
        answers.integer(request(f"limit={text}"), "limit", 50, 500)


def test_lists_are_split_at_commas():
    assert answers.symbols_of(request("symbols=A,B,,A")) == {"A", "B"}
    assert answers.symbols_of(request("")) == set()


def test_flags_are_true_in_any_case():
    assert answers.flag(request("nested=True"), "nested")
    assert not answers.flag(request("nested=no"), "nested")
