import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.upstream.rest_fault import RestFault
from tests.examples import some_of
from tests.fakes.alpaca import LONG_CALL, SHORT_PUT, STARTED_AT
from tests.fuzz.damage import BODIES, JSON, damaged_row, every_damaged_row, spliced
from tests.fuzz.decoders import REST, answer, check_answer
from tests.fuzz.samples import (
    CLOCK,
    CONTRACT,
    DAYS,
    ORDER,
    REST_QUOTE,
    STOCK,
    encoded,
    json_list,
    json_map,
    json_pairs,
    position,
)
from tests.fuzz.samples import rest_answers as answers

NAMES = sorted(REST)
HELD = position("QQQ261218P00400000", -1)
FIRST, LAST = position(SHORT_PUT), position(LONG_CALL, -2)


def by_symbol(held):
    return {position.symbol: position for position in held}


class TestRowsBesideADamagedOne:
    def check_positions(self, damaged):
        read, refused = check_answer("holdings", json_list([encoded(FIRST), damaged, encoded(LAST)]))
        whole, _ = answer("holdings", json_list([encoded(FIRST), encoded(LAST)]))
        assert by_symbol(whole.options).items() <= by_symbol(read.options).items()
        assert len(read.options) + len(read.stocks) + refused.total() in (
            2,
            3,
        )  # 2: the damaged row is of another asset class

    def check_quotes(self, damaged):
        rows = json_map([(b'"FIRST"', encoded(REST_QUOTE)), (b'"BAD"', damaged), (b'"LAST"', encoded(REST_QUOTE))])
        read, refused = check_answer("ticks", b'{"quotes":%b}' % rows)
        assert [tick.symbol for tick in read if tick.symbol != "BAD"] == ["FIRST", "LAST"]
        assert len(read) + refused.total() == 3

    def check_orders(self, damaged):
        good = [encoded(ORDER | {"id": name}) for name in ("first", "last")]
        read, refused = check_answer("orders", json_list([good[0], damaged, good[1]]))
        assert [order.id for order in read.orders if order.id in ("first", "last")] == ["first", "last"]
        assert len(read.orders) + refused.total() in (2, 3)  # 2: the damaged row is not a filled order of options

    @pytest.mark.slow
    @given(st.sampled_from([HELD, STOCK]).flatmap(damaged_row))
    def test_positions_survive(self, damaged):
        self.check_positions(damaged)

    @pytest.mark.slow
    @given(damaged_row(REST_QUOTE))
    def test_quotes_survive(self, damaged):
        self.check_quotes(damaged)

    @pytest.mark.slow
    @given(damaged_row(ORDER) | damaged_row(ORDER["legs"][0]))
    def test_orders_survive(self, damaged):
        self.check_orders(damaged)

    @pytest.mark.deep
    @pytest.mark.slow
    @pytest.mark.parametrize("row", [HELD, STOCK], ids=["option", "stock"])
    def test_positions_survive_every_odd_field_in_another_row(self, row):
        for damaged in some_of(every_damaged_row(row)):
            self.check_positions(damaged)

    @pytest.mark.deep
    @pytest.mark.slow
    def test_quotes_survive_every_odd_field_in_another_row(self):
        for damaged in some_of(every_damaged_row(REST_QUOTE)):
            self.check_quotes(damaged)

    @pytest.mark.deep
    @pytest.mark.slow
    @pytest.mark.parametrize("row", [ORDER, ORDER["legs"][0]], ids=["many legs", "one leg"])
    def test_orders_survive_every_odd_field_in_another_row(self, row):
        for damaged in some_of(every_damaged_row(row)):
            self.check_orders(damaged)

    @pytest.mark.slow
    @given(damaged_row(STOCK))
    def test_stocks_survive(self, damaged):
        other = STOCK | {"symbol": "QQQ", "side": "short"}
        read, _ = check_answer("holdings", json_list([damaged, encoded(other)]))
        assert read.stocks["QQQ"] == -200

    @pytest.mark.slow
    @given(damaged_row(CONTRACT["deliverables"][0]))
    def test_a_contract_is_read_whatever_it_delivers(self, damaged):
        listed = json_list([damaged])
        pairs = [(key, listed if key == b'"deliverables"' else value) for key, value in json_pairs(CONTRACT)]
        read, _ = check_answer("contract", json_map(pairs))
        assert read.multiplier == 100


class TestWholeAnswers:
    @pytest.mark.slow
    @pytest.mark.parametrize("name", NAMES)
    @given(data=st.data())
    def test_a_response_with_damaged_parts_is_usable_or_refused(self, name, data):
        check_answer(name, data.draw(BODIES[name]))

    @pytest.mark.slow
    @pytest.mark.parametrize("name", NAMES)
    @given(data=st.data())
    def test_a_response_with_spliced_bytes_is_usable_or_refused(self, name, data):
        check_answer(name, data.draw(spliced(answers()[name])))

    @pytest.mark.slow
    @pytest.mark.parametrize("name", NAMES)
    @given(body=JSON | st.binary(max_size=40))
    def test_any_other_body_is_usable_or_refused(self, name, body):
        check_answer(name, body)

    @pytest.mark.deep
    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("name", "row"),
        [("clock", CLOCK), ("contract", CONTRACT), *(("calendar", day) for day in DAYS)],
        ids=["clock", "contract", "first day", "last day"],
    )
    def test_every_odd_field_is_usable_or_refused(self, name, row):
        for damaged in some_of(every_damaged_row(row)):
            check_answer(name, json_list([damaged, *map(encoded, DAYS)]) if name == "calendar" else damaged)

    @pytest.mark.deep
    def test_a_damaged_day_affects_no_other(self):
        for damaged in some_of(every_damaged_row({"date": "2026-11-18", "open": "09:30", "close": "16:00"})):
            read, _ = check_answer("calendar", json_list([damaged, encoded(DAYS[1])]))
            assert STARTED_AT.date() in read.sessions


@pytest.mark.parametrize("name", NAMES)
class TestResponsesThatAreNotJson:
    @pytest.mark.parametrize(
        "damage",
        [
            lambda body: body[:-1],
            lambda body: body + b"x",
            lambda body: b"<html>busy</html>",
            lambda body: b"",
            lambda body: b"[" * 10_000 + b"]" * 10_000,
            lambda body: b"[" + b'{"a":' * 10_000,
            lambda body: b"[" + b"9" * 5000 + b"]",
        ],
        ids=["cut short", "more behind", "html", "nothing", "nested", "nested maps", "5000 digits"],
    )
    def test_responses_that_are_not_json_are_malformed_and_can_be_retried(self, name, damage):
        fault, _ = answer(name, damage(answers()[name]))
        assert isinstance(fault, RestFault)
        assert (fault.code, fault.may_retry) == ("malformed", True)

    def test_valid_responses_are_read(self, name):
        read, refused = check_answer(name, answers()[name])
        assert not isinstance(read, RestFault)
        assert not refused


class TestAbsurdLength:
    @pytest.mark.parametrize("field", sorted(FIRST))
    @pytest.mark.parametrize("value", ["x" * 100_000, ["x" * 100_000]], ids=["text", "list"])
    def test_no_field_of_a_position_makes_the_document_large(self, field, value):
        read, _ = check_answer("holdings", encoded([FIRST | {field: value}]))
        assert all(len(position.symbol) + len(position.problem or "") < 1000 for position in read.options)
