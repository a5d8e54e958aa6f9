import string
import typing

from condord.live.link import Again
from condord.live.wire import Code
from condord.upstream.failure_table import FAILURES, HowSoon, RestCode


def test_every_failure_has_a_public_code_and_a_known_time_of_the_next_attempt():
    codes = {*typing.get_args(Code), *typing.get_args(RestCode)}
    ways = {each for part in typing.get_args(HowSoon) for each in (typing.get_args(part) or (part,))}
    assert set(typing.get_args(Again)) <= ways
    for name, meaning in FAILURES.items():
        assert meaning.code in codes, name
        assert meaning.again in ways, name


def test_a_text_names_nothing_but_the_detail():
    for name, meaning in FAILURES.items():
        fields = {field for _, field, _, _ in string.Formatter().parse(meaning.text) if field is not None}
        assert fields <= {"detail"}, name


def test_a_failure_that_stops_the_daemon_until_somebody_acts_has_a_remedy():
    for name, meaning in FAILURES.items():
        assert meaning.again != "halt" or meaning.remedy, name


def test_an_outage_may_be_retried_and_a_pause_is_not_an_outage():
    for name, meaning in FAILURES.items():
        assert meaning.is_outage == (meaning.again == "retry"), name
        assert meaning.may_retry == (meaning.again in ("retry", "asked")), name
