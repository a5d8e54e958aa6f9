import datetime as dt
import logging

import pytest

from condord.live.link import LinkFault
from condord.upstream.stream_state import StateLog, StreamState, state_of
from tests.fakes.alpaca import STARTED_AT
from tests.upstream.test_health import Stream

AWAY = LinkFault(code="unreachable", text="connection refused", remedy="check the network")


def changed(stream, **link):
    for name, value in link.items():
        setattr(stream.link, name, value)
    return stream


def test_a_live_stream_is_closed_while_the_market_is():
    assert state_of(Stream(), is_closed=False) == StreamState("live", None, None)
    assert state_of(Stream(), is_closed=True) == StreamState("closed", None, None)


@pytest.mark.parametrize("state", ["stale", "reconnecting", "halted"])
def test_a_stream_with_a_fault_has_its_reason_and_code(state):
    stream = changed(Stream(), public_state=state, fault=AWAY)
    for is_closed in (False, True):
        assert state_of(stream, is_closed=is_closed) == StreamState(state, AWAY.reason, "unreachable")


def test_a_stream_that_is_down_without_a_fault_has_a_reason_too():
    assert state_of(changed(Stream(), public_state="starting"), is_closed=False).reason
    assert state_of(changed(Stream(), public_state="reconnecting"), is_closed=False).reason


def test_a_limited_stream_is_live_and_names_the_symbols_that_rest_reads():
    stream = Stream()
    stream.is_limited, stream.symbols = True, ("SPY", "QQQ", "IWM")
    stream.streamed, stream.missing = frozenset({"SPY", "QQQ"}), ["IWM"]
    text = "Alpaca streams 2 of 3 symbols; read over REST instead: IWM"
    assert state_of(stream, is_closed=False) == StreamState("live", text, "symbolLimit")


class TestLog:
    def test_each_change_of_state_or_code_is_logged_once_with_the_length_of_an_outage(self, caplog):
        caplog.set_level(logging.INFO, "condord.upstream.stream_state")
        clock = [STARTED_AT]
        log = StateLog("Stock stream changed state", lambda: clock[0])
        for seconds, new in (
            (0, StreamState("live")),
            (5, StreamState("reconnecting", "connection refused", "unreachable")),
            (9, StreamState("halted", "no", "authFailed")),
            (12, StreamState("live", "two of three", "symbolLimit")),
            (13, StreamState("live")),
        ):
            clock[0] = STARTED_AT + dt.timedelta(seconds=seconds)
            for _ in range(2):
                log.note(new, seconds)
        assert {record.message for record in caplog.records} == {"Stock stream changed state"}
        lines = [(record.levelname, record.fields["state"], record.fields["code"]) for record in caplog.records]
        assert lines == [
            ("INFO", "live", None),
            ("WARNING", "reconnecting", "unreachable"),
            ("ERROR", "halted", "authFailed"),
            ("WARNING", "live", "symbolLimit"),
            ("INFO", "live", None),
        ]
        assert caplog.records[3].fields["lasted_seconds"] == 7.0
        assert "lasted_seconds" not in caplog.records[4].fields

    def test_a_state_begins_when_it_changes_and_not_with_its_code(self):
        clock = [STARTED_AT]
        log = StateLog("it", lambda: clock[0])
        for seconds, code in ((3, "unreachable"), (4, "connectionLimit")):
            clock[0] = STARTED_AT + dt.timedelta(seconds=seconds)
            log.note(StreamState("reconnecting", "connection refused", code), seconds)
        assert log.since == STARTED_AT + dt.timedelta(seconds=3)

    def test_an_outage_is_measured_by_the_monotonic_clock(self, caplog):
        caplog.set_level(logging.INFO, "condord.upstream.stream_state")
        clock = [STARTED_AT]
        log = StateLog("it", lambda: clock[0])
        log.note(StreamState("starting"), 1000.0)
        clock[0] = STARTED_AT + dt.timedelta(days=4)
        log.note(StreamState("live"), 1002.5)
        assert caplog.records[0].fields["lasted_seconds"] == 2.5
        assert log.since == STARTED_AT + dt.timedelta(days=4)
