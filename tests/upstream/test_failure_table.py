import string
import typing

import pytest

from condord.live.link import Again
from condord.live.wire import Code
from condord.upstream.failure_table import FAILURES, HowSoon, RestCode

EACH = pytest.mark.parametrize("name", sorted(FAILURES))


@EACH
def test_every_failure_has_a_public_code_and_a_known_time_of_the_next_attempt(name):
    codes = {*typing.get_args(Code), *typing.get_args(RestCode)}
    assert FAILURES[name].code in codes
    ways = {each for part in typing.get_args(HowSoon) for each in (typing.get_args(part) or (part,))}
    assert set(typing.get_args(Again)) <= ways
    assert FAILURES[name].again in ways


@EACH
def test_a_text_names_nothing_but_the_detail(name):
    fields = {field for _, field, _, _ in string.Formatter().parse(FAILURES[name].text) if field is not None}
    assert fields <= {"detail"}


@EACH
def test_a_failure_that_stops_the_daemon_until_somebody_acts_has_a_remedy(name):
    if FAILURES[name].again == "halt":
        assert FAILURES[name].remedy


@EACH
def test_an_outage_may_be_retried_and_a_pause_is_not_an_outage(name):
    meaning = FAILURES[name]
    assert meaning.is_outage == (meaning.again == "retry")
    assert meaning.may_retry == (meaning.again in ("retry", "asked"))
