import os

import pytest

from tests.live.accounts import CLOSED, SPY_ID, status
from tests.virtualtime import run

from .relay_harness import RelayHarness


def run_scenario(scenario):
    async def main():
        scenario(RelayHarness(max_subscribers=7))

    run(main())


def test_before_the_first_document_there_is_a_reason_instead():
    @run_scenario
    def _(harness):
        view = harness.view
        expected = "this relay has read nothing from http://127.0.0.1:1 in 0 s: it has not answered yet"
        assert (view.unread.detail, view.unread.code) == (expected, None)
        assert (view.status, view.is_ready, view.is_alive) == (None, False, True)
        harness.feed.lose("it answers 503")
        assert view.unread.detail.endswith(" in 0 s: it answers 503")
        assert (view.unread.code, view.unread.cluster.role) == ("sourceLost", "relay")
        harness.pass_events()
        assert view.unread is None


@pytest.mark.parametrize(
    ("role", "text"),
    [
        ("standby", "this ingester stands by, and has read nothing from http://127.0.0.1:1 in 0 s: it is gone"),
        ("leader", "this ingester leads, and has read nothing from its own daemon of the account in 0 s: it is gone"),
    ],
)
def test_an_ingester_without_a_document_names_its_role(role, text):
    @run_scenario
    def _(harness):
        harness.role = role
        harness.feed.lose("it is gone", "leaderLost")
        assert (harness.view.unread.detail, harness.view.unread.code) == (text, "leaderLost")


def test_a_relay_shows_the_document_of_its_source_and_is_ready_if_the_source_is():
    @run_scenario
    def _(harness):
        view = harness.view
        harness.pass_events()
        assert view.document().version == harness.source.edition.version
        assert view.condor(SPY_ID).condor.id == SPY_ID
        assert view.condor("NONE") is None
        assert view.is_ready
        harness.feed.lose("gone")
        assert not view.is_ready
        harness.source.set_status(status("stale"))
        harness.pass_events()
        assert not view.is_ready
        harness.source.set_status(status("closed"))
        harness.pass_events()
        assert view.is_ready


def test_a_single_condor_is_unconfirmed_while_the_source_is_lost():
    @run_scenario
    def _(harness):
        harness.pass_events()
        assert not any(quote.unconfirmed for quote in harness.view.condor(SPY_ID).quotes)
        harness.feed.lose("gone")
        found = harness.view.condor(SPY_ID)
        assert found.condor.valuation.unconfirmed
        assert all(quote.unconfirmed for quote in found.quotes)


def test_the_newest_message_of_a_live_stream_has_the_time_of_the_newest_quote():
    @run_scenario
    def _(harness):
        harness.source.set_status(status(state="live"))
        harness.pass_events()
        view = harness.view
        before_at = view.report().stream.last_message_at
        harness.source.move()
        harness.pass_events()
        newest_at = max(quote.time for quote in view.document().quotes if quote.time)
        assert view.report().stream.last_message_at == view.status.stream.last_message_at == newest_at
        assert before_at is None or newest_at > before_at
        harness.source.set_status(status("stale"))
        harness.pass_events()
        assert view.report().stream.last_message_at == status("stale").stream.last_message_at


def test_a_lost_source_leaves_the_time_of_the_newest_quote_and_no_connection():
    @run_scenario
    def _(harness):
        harness.source.set_status(status(state="live"))
        harness.pass_events()
        harness.source.move()
        harness.pass_events()
        view = harness.view
        newest_at = max(quote.time for quote in view.document().quotes if quote.time)
        assert newest_at > harness.replica.edition.status.stream.last_message_at
        harness.feed.lose("gone")
        for found in (view.report(), view.document().status):
            assert (found.stream.connected, found.stream.subscribed, found.stream.requested) == (None, None, None)
            assert (found.positions.breaker, found.stream.last_message_at) == (None, newest_at)
        harness.source.set_status(status("stale"))
        harness.pass_events()
        assert view.report().stream.connected


def test_the_hours_of_a_lost_source_are_unknown_once_they_have_passed():
    @run_scenario
    def _(harness):
        harness.source.set_status(status("closed", market=CLOSED))
        harness.pass_events()
        assert harness.view.report().market == CLOSED
        harness.feed.lose("gone")
        for found in (harness.view.report(), harness.view.document().status):
            assert found.market.is_open is None


def test_the_report_has_the_counters_of_the_relay():
    @run_scenario
    def _(harness):
        harness.pass_events()
        harness.follow()
        report = harness.view.report()
        assert (report.state, report.stocks, report.subscribers, report.max_subscribers) == ("live", None, 1, 7)
        assert (report.pid, report.address, report.refused) == (os.getpid(), "http://127.0.0.1:8420", {})
        cluster = report.cluster
        assert (cluster.role, cluster.source, cluster.lag_ms, cluster.gaps, cluster.dropped) == (
            "relay", "http://127.0.0.1:1", 0, 0, 0,
        )  # fmt: skip
        assert (cluster.leader, cluster.fence) == (None, None)
