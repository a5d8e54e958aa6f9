import datetime as dt

import msgspec

from condord.live import wire
from condord.live.lost_status import as_known, lost_status, with_newest_message
from tests.fakes import documents
from tests.live.accounts import CLOSED, EPOCH_AT, status

LATER_AT = EPOCH_AT + dt.timedelta(hours=1)
NO_HOURS = wire.MarketJson(is_open=None, next_open=None, next_close=None)


def quotes(*times):
    [first, *_] = msgspec.convert(documents.document()["quotes"], list[wire.QuoteJson])
    return [msgspec.structs.replace(first, time=time) for time in times]


def lost(found=None, *, now_at=LATER_AT):
    return lost_status(found or status(), code="sourceLost", reason="it is gone", now_at=now_at)


def test_unknown_values_of_a_lost_source_are_null_and_its_time_of_reading_stays():
    stream = msgspec.structs.replace(status().stream, connected=False, next_attempt_at=LATER_AT)
    error = wire.RestError(code="serverError", text="500")
    positions = wire.Positions(read_at=EPOCH_AT, error=error, breaker="open")
    lost_status = lost(status("reconnecting", stream=stream, positions=positions))
    assert (lost_status.state, lost_status.code, lost_status.reason, lost_status.since) == (
        "reconnecting",
        "sourceLost",
        "it is gone",
        LATER_AT,
    )
    assert lost_status.stream == wire.StreamJson(
        connected=None, subscribed=None, requested=None, reconnects=0, last_message_at=EPOCH_AT
    )
    assert lost_status.positions == wire.Positions(read_at=EPOCH_AT, error=None, breaker=None)


def test_a_loss_keeps_its_start_when_its_reason_changes():
    first = lost(now_at=EPOCH_AT)
    again = lost_status(first, code="sourceLost", reason="it answers 404", now_at=LATER_AT)
    assert (again.reason, again.since) == ("it answers 404", EPOCH_AT)
    other = lost_status(first, code="busLost", reason="gone", now_at=LATER_AT)
    assert other.since == LATER_AT


def test_the_newest_message_of_a_live_stream_is_as_old_as_the_newest_quote():
    newest_at = EPOCH_AT + dt.timedelta(minutes=30)
    found = with_newest_message(status(), quotes(EPOCH_AT, newest_at, None))
    assert found.stream.last_message_at == newest_at
    assert with_newest_message(status(), []).stream.last_message_at == EPOCH_AT
    without_message = msgspec.structs.replace(status().stream, last_message_at=None)
    assert with_newest_message(status(stream=without_message), quotes(None)).stream.last_message_at is None


def test_newer_quotes_of_a_stream_that_is_not_live_are_no_messages():
    for state in ("reconnecting", "stale", "closed"):
        assert with_newest_message(status(state), quotes(LATER_AT)).stream.last_message_at == EPOCH_AT


def test_after_a_loss_the_hours_are_known_until_the_market_should_have_opened_or_closed():
    for is_open in (True, False):
        market = wire.MarketJson(is_open=is_open, next_open=LATER_AT, next_close=LATER_AT)
        lost_status = lost(status(market=market))
        assert as_known(lost_status, LATER_AT - dt.timedelta(seconds=1)) is lost_status
        assert as_known(lost_status, LATER_AT).market == NO_HOURS
    unscheduled = lost(status(market=msgspec.structs.replace(CLOSED, next_open=None)))
    assert as_known(unscheduled, LATER_AT) is unscheduled
    unknown = lost(status(market=NO_HOURS))
    assert as_known(unknown, LATER_AT) is unknown


def test_without_a_loss_the_market_is_as_the_source_reports_it():
    found = status(market=CLOSED)
    assert as_known(found, LATER_AT) is found
