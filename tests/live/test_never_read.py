import msgspec
import pytest

from condord.live import wire
from condord.live.never_read import why_positions_unread, why_trades_unread
from condord.live.wire_history import TradesJson
from tests.fakes import documents


def why(**changes):
    return why_positions_unread(msgspec.convert(documents.unread(**changes), wire.Document))


def test_an_account_that_was_never_read_is_not_an_empty_one():
    assert why() == "the positions have not been read yet"
    error = {"code": "unreachable", "text": "connection refused"}
    assert why(error=error) == "the positions have not been read yet: connection refused"
    assert why(readAt=documents.AS_OF, error=error) == ""


@pytest.mark.parametrize("part", ["condors", "broken", "unmatched"])
def test_positions_are_known_before_the_status_has_their_time_of_reading(part):
    held = {"condors": documents.condor(), "broken": documents.broken(), "unmatched": documents.unmatched()}
    document = documents.unread() | {part: [held[part]]}
    assert why_positions_unread(msgspec.convert(document, wire.Document)) == ""


def test_no_trades_are_known_only_of_a_past_that_was_read():
    answer = msgspec.convert(documents.trades(completeFrom=None), TradesJson)
    assert why_trades_unread(answer) == ""
    empty = msgspec.structs.replace(answer, trades=[])
    assert why_trades_unread(empty) == "the account's past has not been read yet, so closed condors may be missing"
    totals = msgspec.convert(documents.trades(), TradesJson).totals
    assert why_trades_unread(msgspec.structs.replace(empty, totals=totals)) == ""
