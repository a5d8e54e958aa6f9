from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from condord.live.link import (
    CLOSE_SECONDS,
    CONNECTED,
    DEAD_SECONDS,
    HALT_SECONDS,
    PING_SECONDS,
    RELOADED,
    SERVING,
    STEP_SECONDS,
    TABLE,
    Event,
    Link,
    LinkFault,
    LinkSettings,
    LinkState,
)

from .accounts import REPEATABLE

STATES, EVENTS = get_args(LinkState), get_args(Event)
UNREACHABLE = LinkFault(code="unreachable", text="connection refused")
TAKEN = LinkFault(code="connectionLimit", text="another holds the slot", again="longest")
REFUSED = LinkFault(code="authFailed", text="the key is wrong", again="halt")

WAY = {
    "starting": (),
    "connecting": ("due",),
    "authenticating": ("due", "welcomed"),
    "subscribing": ("due", "welcomed", "authenticated"),
    "live": ("due", "welcomed", "authenticated", "acknowledged"),
    "stale": ("due", "welcomed", "authenticated", "acknowledged", "silent"),
    "closing": ("due", "fault"),
    "backingOff": ("due", "fault", "closed"),
    "halted": ("due", "fault", "closedForGood"),
}
"""The events that bring a new link to each state."""


def make_link(*, chance=lambda: 0.5, silence=60.0, least=1.0, most=60.0, pong_counts_as_data=False):
    bounds = LinkSettings(
        name="the option stream",
        silence_seconds=silence,
        backoff_min_seconds=least,
        backoff_max_seconds=most,
        pong_counts_as_data=pong_counts_as_data,
    )
    return Link(bounds, chance=chance)


def link_in(state, now=0.0, **options):
    link = make_link(**options)
    for event in WAY[state]:
        link.handle(event, now)
    assert link.state == state
    return link


def watched(now=0.0, **options):
    """A live link from which data is expected."""
    link = link_in("live", now, **options)
    link.watch(is_expecting=True, now=now)
    return link


def let_pass(link, until):
    """Let time pass and answer every ping; return the other actions with their times."""
    done = []
    while link.deadline <= until:
        now = link.deadline
        actions = link.expire(now)
        if actions == ("ping",):
            link.pong(now)
        else:
            done.append((now, actions))
    return done


def fail(link, now, fault=UNREACHABLE):
    """Let a connection fail and close it at the same moment."""
    link.handle("fault", now, fault)
    link.closed(now)


def come_up(link, now):
    for event in ("welcomed", "authenticated", "acknowledged"):
        link.handle(event, now)


# The table.


def test_the_table_has_only_known_states_and_events():
    assert {state for state, _ in TABLE} | {state for state, _ in TABLE.values()} == set(STATES)
    assert {event for _, event in TABLE} == set(EVENTS)


@pytest.mark.parametrize("state", STATES)
def test_an_event_follows_its_row_and_without_a_row_changes_nothing(state):
    for event in EVENTS:
        link = link_in(state)
        after, actions = TABLE.get((state, event), (state, ()))
        before = {**vars(link)}
        assert link.handle(event, 7.0) == actions, event
        assert link.state == after, event
        if (state, event) not in TABLE:
            assert vars(link) == before, event


def reachable(start, rows=TABLE):
    seen = {start}
    while more := {after for (state, _), (after, _) in rows.items() if state in seen} - seen:
        seen |= more
    return seen


def test_every_state_can_be_reached():
    assert reachable("starting") == set(STATES)


@pytest.mark.parametrize("state", STATES)
def test_from_every_state_there_is_a_way_to_live(state):
    assert "live" in reachable(state)


@pytest.mark.parametrize("state", sorted(CONNECTED))
def test_every_open_connection_ends_by_being_closed(state):
    after, actions = TABLE[state, "fault"]
    assert after == "closing"
    assert actions[-1] == "close"


def test_only_a_connection_that_was_live_leaves_a_gap():
    assert {state for (state, _), (_, actions) in TABLE.items() if "gap" in actions} == {"live", "stale"}


def test_a_connection_is_opened_only_if_none_is_open():
    opening = {row for row, (_, actions) in TABLE.items() if "connect" in actions}
    assert {state for state, _ in opening}.isdisjoint(CONNECTED)
    assert "closing" not in {state for state, _ in opening}


def test_an_open_connection_is_left_only_through_closing():
    left = {after for (state, _), (after, _) in TABLE.items() if state in CONNECTED}
    assert left <= {*CONNECTED, "closing"}


# Deadlines.


@pytest.mark.parametrize(
    ("state", "seconds"),
    [
        ("starting", 0.0),
        ("connecting", STEP_SECONDS),
        ("authenticating", STEP_SECONDS),
        ("subscribing", STEP_SECONDS),
        ("live", PING_SECONDS),
        ("stale", PING_SECONDS),
        ("closing", CLOSE_SECONDS),
        ("backingOff", 1.0),
        ("halted", HALT_SECONDS),
    ],
)
def test_every_state_has_a_deadline(state, seconds):
    link = link_in(state, now=50.0)
    assert link.deadline == (0.0 if state == "starting" else 50.0 + seconds)


def test_a_link_starts_at_once():
    link = make_link()
    assert link.expire(0.0) == ("connect",)


@pytest.mark.parametrize("state", sorted({*STATES} - {"starting"}))
def test_before_its_deadline_nothing_expires(state):
    link = link_in(state, now=50.0)
    assert link.expire(50.5) == ()
    assert link.state == state


@pytest.mark.parametrize(
    ("state", "sentence"),
    [
        ("connecting", "the option stream did not accept the connection within 10 s"),
        ("authenticating", "the option stream did not answer the authentication within 10 s"),
        ("subscribing", "the option stream did not acknowledge the subscription within 10 s"),
    ],
)
def test_a_step_of_the_handshake_that_takes_too_long_closes_the_connection(state, sentence):
    link = link_in(state)
    assert link.expire(STEP_SECONDS) == ("close",)
    assert link.state == "closing"
    assert link.fault == LinkFault(code="unreachable", text=sentence)


def test_each_step_of_the_handshake_has_its_own_deadline():
    link = link_in("connecting")
    link.handle("welcomed", 9.0)
    assert link.deadline == 19.0


@pytest.mark.parametrize("state", sorted(SERVING))
def test_a_connection_is_pinged_and_dead_without_pong_and_data_after_thirty_seconds(state):
    link = link_in(state)
    assert [(now, link.expire(now)) for now in (10.0, 20.0)] == [(10.0, ("ping",)), (20.0, ("ping",))]
    assert link.expire(DEAD_SECONDS) == ("gap", "close")
    assert link.fault == LinkFault(code="silent", text="the option stream delivered neither data nor a pong for 30 s")


@pytest.mark.parametrize("sign", [Link.pong, Link.data])
def test_a_pong_and_data_both_keep_a_connection_alive(sign):
    link = link_in("live")
    for now in (10.0, 20.0):
        link.expire(now)
    sign(link, 25.0)
    link.expire(30.0)
    assert link.state == "live"
    assert [link.expire(now) for now in (40.0, 50.0)] == [("ping",), ("ping",)]
    assert link.expire(55.0) == ("gap", "close")


@pytest.mark.parametrize("state", sorted(SERVING))
def test_a_request_on_a_live_connection_that_is_not_acknowledged_closes_it(state):
    link = link_in(state)
    link.handle("wanted", 7.0)
    link.requested(7.0)
    link.expire(10.0)
    assert link.expire(17.0) == ("gap", "close")
    assert link.fault.text == "the option stream did not acknowledge the subscription within 10 s"


def test_an_acknowledged_request_is_not_late():
    link = link_in("live")
    link.requested(7.0)
    link.handle("acknowledged", 8.0)
    assert let_pass(link, 100.0) == []


def test_a_request_of_the_last_connection_has_no_deadline():
    link = link_in("live")
    link.requested(0.0)
    fail(link, 1.0)
    link.expire(link.deadline)
    come_up(link, 3.0)
    assert let_pass(link, 100.0) == []


def test_a_close_that_takes_too_long_counts_as_closed():
    link = link_in("closing")
    assert link.expire(CLOSE_SECONDS) == ()
    assert link.state == "backingOff"


def test_after_a_backoff_the_link_connects_again():
    link = link_in("backingOff")
    assert link.expire(link.deadline) == ("connect",)
    assert link.state == "connecting"


# Trying again.


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_the_wait_grows_between_its_bounds(chance):
    link, now, waits = make_link(chance=lambda: chance), 0.0, []
    link.handle("due", now)
    for _ in range(10):
        fail(link, now)
        waits.append(link.deadline - now)
        now = link.deadline
        assert link.expire(now) == ("connect",)
    ceilings = [1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert waits == pytest.approx([1 + chance * (ceiling - 1) for ceiling in ceilings])


def test_a_connection_that_came_up_without_data_does_not_reset_the_wait():
    link, now = make_link(chance=lambda: 1.0), 0.0
    link.handle("due", now)
    for ceiling in (1, 2, 4):
        come_up(link, now)
        fail(link, now)
        assert link.deadline == now + ceiling
        now = link.deadline
        link.expire(now)


def test_data_resets_the_wait():
    link, now = make_link(chance=lambda: 1.0), 0.0
    link.handle("due", now)
    for _ in range(4):
        fail(link, now)
        now = link.deadline
        link.expire(now)
    come_up(link, now)
    link.data(now)
    fail(link, now)
    assert link.deadline == now + 1


@pytest.mark.parametrize(("proves", "wait"), [(True, 1.0), (False, 4.0)])
def test_a_pong_resets_the_wait_while_data_is_rare(proves, wait):
    link, now = make_link(chance=lambda: 1.0, pong_counts_as_data=proves), 0.0
    link.handle("due", now)
    for _ in range(2):
        fail(link, now)
        now = link.deadline
        link.expire(now)
    come_up(link, now)
    link.pong(now)
    fail(link, now)
    assert link.deadline == now + wait


def test_the_end_of_the_session_does_not_reset_the_wait():
    link, now = watched(chance=lambda: 1.0), 0.0
    fail(link, now)
    link.expire(link.deadline)
    come_up(link, 1.0)
    let_pass(link, 61.0)
    assert link.state == "stale"
    link.watch(is_expecting=False, now=62.0)
    fail(link, 62.0)
    assert link.deadline == 64.0


def test_after_a_taken_slot_the_wait_is_the_longest():
    link = link_in("subscribing", most=45.0)
    fail(link, 0.0, TAKEN)
    assert link.state == "backingOff"
    assert link.deadline == 45.0


def test_a_refused_key_halts_for_five_minutes():
    link = link_in("authenticating")
    fail(link, 0.0, REFUSED)
    assert link.state == "halted"
    assert link.expire(299.0) == ()
    assert link.expire(300.0) == ("connect",)


@pytest.mark.parametrize("state", ["backingOff", "halted"])
def test_a_waiting_link_tries_at_once_on_request(state):
    link = link_in(state)
    assert link.handle("retry", 0.5) == ("connect",)


@pytest.mark.parametrize("state", sorted({*CONNECTED, "starting"}))
def test_a_link_that_is_not_waiting_is_not_disturbed_by_a_retry(state):
    link = link_in(state)
    assert link.handle("retry", 0.5) == ()
    assert link.state == state


@pytest.mark.parametrize("fault", [UNREACHABLE, TAKEN, REFUSED])
def test_a_retry_during_a_close_reconnects_after_the_shortest_wait(fault):
    link = link_in("authenticating")
    link.handle("fault", 0.0, fault)
    assert link.handle("retry", 1.0) == ()
    assert link.deadline == CLOSE_SECONDS
    link.closed(2.0)
    assert (link.state, link.deadline, link.fault) == ("backingOff", 3.0, fault)
    link.expire(3.0)
    fail(link, 3.0, REFUSED)
    assert link.state == "halted"


# Another key, another feed.


@pytest.mark.parametrize("state", sorted({*CONNECTED, "closing"}))
def test_a_reload_reconnects_after_the_shortest_wait(state):
    link = link_in(state)
    link.handle("reloaded", 5.0)
    assert link.state == "closing"
    link.closed(6.0)
    assert (link.state, link.deadline) == ("backingOff", 7.0)


@pytest.mark.parametrize("state", ["backingOff", "halted"])
def test_a_waiting_link_tries_another_key_at_once(state):
    link = link_in(state)
    assert link.handle("reloaded", 0.5) == ("connect",)


def test_a_reload_forgets_the_failures_of_the_last_key():
    link, now = make_link(chance=lambda: 1.0), 0.0
    link.handle("due", now)
    for _ in range(5):
        fail(link, now)
        now = link.deadline
        link.expire(now)
    link.handle("fault", now, REFUSED)
    link.handle("reloaded", now)
    assert link.fault is None
    link.closed(now)
    assert link.expire(now + 1.0) == ("connect",)
    fail(link, now + 1.0)
    assert link.deadline == now + 2.0


def test_a_reload_of_a_live_link_is_a_reconnect():
    link = link_in("live")
    assert link.handle("reloaded", 1.0) == ("gap", "close")
    assert link.public_state == "reconnecting"
    link.closed(1.0)
    link.expire(2.0)
    come_up(link, 2.0)
    assert (link.state, link.reconnects) == ("live", 1)


# What is reported.


def test_a_reason_contains_the_cause_and_the_remedy():
    assert UNREACHABLE.reason == "connection refused"
    assert (
        LinkFault(code="authFailed", text="the key is wrong", remedy="check it").reason == "the key is wrong; check it"
    )


@pytest.mark.parametrize("state", STATES)
def test_only_a_waiting_link_has_a_time_of_its_next_attempt(state):
    link = link_in(state)
    assert link.tries_at == (link.deadline if state in ("backingOff", "halted") else None)


def test_the_first_cause_of_a_lost_connection_is_kept():
    link = link_in("subscribing")
    link.handle("fault", 0.0, TAKEN)
    link.handle("fault", 0.1, UNREACHABLE)
    assert link.fault == TAKEN


def test_a_halt_is_over_once_another_cause_takes_its_place():
    link = link_in("authenticating")
    fail(link, 0.0, REFUSED)
    link.handle("retry", 1.0)
    fail(link, 2.0, UNREACHABLE)
    assert link.state == "backingOff"


def test_the_first_connection_is_not_a_reconnect():
    assert link_in("live").reconnects == 0


def test_every_further_time_live_is_a_reconnect():
    link = link_in("live")
    for number in range(1, 4):
        fail(link, 0.0)
        link.handle("retry", 0.0)
        come_up(link, 0.0)
        assert link.reconnects == number


def test_a_reconnect_is_counted_by_the_reason_of_the_loss():
    link = link_in("live")
    fail(link, 0.0, UNREACHABLE)
    link.handle("retry", 0.0)
    fail(link, 1.0, TAKEN)
    link.handle("retry", 1.0)
    come_up(link, 1.0)
    assert link.reconnected == {"unreachable": 1}
    link.handle("reloaded", 2.0)
    link.closed(2.0)
    link.handle("retry", 2.0)
    come_up(link, 2.0)
    assert link.reconnected == {"unreachable": 1, RELOADED: 1}


def test_every_connection_that_a_fault_ends_is_a_failure_by_its_code():
    link = link_in("connecting")
    fail(link, 0.0, UNREACHABLE)
    link.handle("retry", 0.0)
    fail(link, 1.0, TAKEN)
    link.handle("retry", 1.0)
    come_up(link, 1.0)
    fail(link, 2.0, UNREACHABLE)
    assert link.failures == {"unreachable": 2, "connectionLimit": 1}


def test_a_fault_after_the_end_of_the_connection_does_not_count():
    link = link_in("live")
    link.handle("fault", 0.0, UNREACHABLE)
    link.handle("fault", 0.0, TAKEN)
    assert link.failures == {"unreachable": 1}


def test_a_second_acknowledgement_is_not_a_reconnect():
    link = link_in("live")
    link.handle("acknowledged", 1.0)
    assert link.reconnects == 0


# Silence.


def test_a_link_that_is_not_silent_when_the_market_closes_stays_as_it_is():
    link = watched()
    link.watch(is_expecting=False, now=50.0)
    assert (link.state, link.fault) == ("live", None)
    assert let_pass(link, 10_000.0) == []


def test_silence_does_not_matter_while_no_data_is_expected():
    link = link_in("live")
    assert let_pass(link, 10_000.0) == []


def test_a_watched_link_is_probed_after_the_silence():
    link = watched()
    assert let_pass(link, 60.0) == [(60.0, ("probe",))]
    assert (link.state, link.fault.code) == ("stale", "silent")
    assert link.fault.text == "the option stream: no data for 60 s while the market is open"


def test_the_silence_begins_when_the_watch_does():
    link = link_in("live")
    let_pass(link, 500.0)
    link.watch(is_expecting=True, now=500.0)
    assert let_pass(link, 560.0) == [(560.0, ("probe",))]


def test_watching_again_does_not_restart_the_silence():
    link = watched()
    link.watch(is_expecting=True, now=30.0)
    assert let_pass(link, 60.0) == [(60.0, ("probe",))]


def test_the_silence_begins_with_the_last_data():
    link = watched()
    link.data(42.0)
    assert let_pass(link, 102.0) == [(102.0, ("probe",))]


def test_pongs_are_not_data():
    link = watched()
    link.pong(42.0)
    assert let_pass(link, 60.0) == [(60.0, ("probe",))]


def test_every_connection_restarts_the_silence():
    link = watched()
    let_pass(link, 50.0)
    fail(link, 50.0)
    link.expire(51.0)
    come_up(link, 51.0)
    assert let_pass(link, 111.0) == [(111.0, ("probe",))]


def test_data_ends_the_silence_and_its_cause():
    link = watched()
    let_pass(link, 60.0)
    link.data(61.0)
    assert (link.state, link.fault) == ("live", None)
    assert let_pass(link, 121.0) == [(121.0, ("probe",))]


def test_the_end_of_the_session_ends_the_silence():
    link = watched()
    let_pass(link, 60.0)
    link.watch(is_expecting=False, now=61.0)
    assert (link.state, link.fault) == ("live", None)
    assert let_pass(link, 1000.0) == []


def test_data_does_not_hide_why_a_connection_ends():
    link = watched()
    link.handle("fault", 1.0, UNREACHABLE)
    link.data(1.0)
    assert (link.state, link.fault) == ("closing", UNREACHABLE)


def test_a_silent_connection_is_probed_again_and_ended_after_ten_times_the_silence():
    link = watched()
    assert let_pass(link, 600.0) == [*((60.0 * n, ("probe",)) for n in range(1, 10)), (600.0, ("gap", "close"))]
    assert link.fault == LinkFault(code="silent", text="the option stream: no data for 600 s")


def test_a_changed_bound_of_the_silence_applies_from_the_next_probe():
    link = watched()
    link.set_bounds(silence_seconds=5.0, backoff_min_seconds=1.0, backoff_max_seconds=2.0)
    assert link.expire(5.0) == ("probe",)


QUIET = LinkFault(code="silent", text="the market may be quiet")


def test_a_silence_has_the_reason_that_rest_gave_until_data_comes():
    link = watched()
    let_pass(link, 60.0)
    link.explain_silence(QUIET)
    assert (link.public_state, link.fault) == ("stale", QUIET)
    link.data(61.0)
    assert (link.public_state, link.fault) == ("live", None)


def test_a_late_answer_of_rest_does_not_hide_why_a_connection_ends():
    link = watched()
    let_pass(link, 60.0)
    link.handle("fault", 61.0, UNREACHABLE)
    link.explain_silence(QUIET)
    assert link.fault == UNREACHABLE


def test_a_connection_after_a_silent_one_is_stale_until_it_delivers_data():
    link = watched()
    let_pass(link, 60.0)
    link.handle("fault", 60.0, LinkFault(code="silent", text="REST has newer quotes"))
    link.closed(60.0)
    link.expire(link.deadline)
    come_up(link, 62.0)
    assert (link.public_state, link.fault.code) == ("stale", "silent")
    link.data(63.0)
    assert (link.public_state, link.fault) == ("live", None)


def test_a_connection_after_a_silent_one_is_live_once_the_market_is_closed():
    link = watched()
    fail(link, 60.0, LinkFault(code="silent", text="REST has newer quotes"))
    link.expire(link.deadline)
    come_up(link, 62.0)
    link.watch(is_expecting=False, now=63.0)
    assert (link.public_state, link.fault) == ("live", None)


def test_on_a_quiet_stream_a_pong_makes_a_reconnection_live():
    link = link_in("live", pong_counts_as_data=True)
    fail(link, 0.0, LinkFault(code="silent", text="no pong"))
    link.expire(link.deadline)
    come_up(link, 2.0)
    assert link.public_state == "stale"
    link.pong(12.0)
    assert link.public_state == "live"


def test_a_pong_does_not_hide_why_a_connection_ends():
    link = link_in("live", pong_counts_as_data=True)
    link.handle("fault", 1.0, UNREACHABLE)
    link.pong(1.0)
    assert link.fault == UNREACHABLE


# The public state.


@pytest.mark.parametrize("state", ["starting", "connecting", "authenticating", "subscribing"])
def test_a_link_before_its_first_live_connection_is_starting(state):
    assert link_in(state).public_state == "starting"


def test_a_link_that_is_up_is_live():
    assert link_in("live").public_state == "live"


def test_a_silent_link_is_stale():
    assert link_in("stale").public_state == "stale"


@pytest.mark.parametrize("fault", [UNREACHABLE, TAKEN])
def test_a_link_that_failed_is_reconnecting_until_it_is_up(fault):
    link = link_in("connecting")
    shown = []
    for act in (
        lambda: link.handle("fault", 0.0, fault),
        lambda: link.closed(0.0),
        lambda: link.handle("retry", 0.0),
        lambda: link.handle("welcomed", 0.0),
        lambda: link.handle("authenticated", 0.0),
        lambda: link.handle("acknowledged", 0.0),
    ):
        act()
        shown.append(link.public_state)
    assert shown == ["reconnecting"] * 5 + ["live"]


def test_a_link_that_was_live_is_reconnecting_even_without_a_cause():
    link = link_in("live")
    link.handle("fault", 0.0)
    assert link.public_state == "reconnecting"


def test_a_refused_link_is_halted_until_it_is_up():
    link = link_in("authenticating")
    fail(link, 0.0, REFUSED)
    shown = [link.public_state]
    for event in ("retry", "welcomed", "authenticated", "acknowledged"):
        link.handle(event, 1.0)
        shown.append(link.public_state)
    assert shown == ["halted"] * 4 + ["live"]


def test_a_cause_is_gone_once_the_link_is_up():
    link = link_in("connecting")
    fail(link, 0.0)
    assert link.fault == UNREACHABLE
    link.handle("retry", 0.0)
    come_up(link, 0.0)
    assert link.fault is None


# In any order.


NOT_HEARD = ("closed", "closedForGood", "due", "data")
"""Events that a link causes itself."""


class AnyOrder(RuleBasedStateMachine):
    """A link, a socket that obeys it, and a server that does anything."""

    @initialize(
        least=st.sampled_from([0.05, 1.0]),
        factor=st.sampled_from([1.0, 8.0, 60.0]),
        silence=st.sampled_from([1.0, 60.0]),
        chance=st.floats(0, 1),
    )
    def start(self, least, factor, silence, chance):
        self.least, self.most = least, least * factor
        self.link = make_link(chance=lambda: chance, silence=silence, least=least, most=self.most)
        self.now, self.is_open = 1000.0, False
        self.live, self.since = 0, None  # how often live, and the end of the last connection
        self.is_asked = self.has_data = False
        self.failures = 0
        self.carry_out(self.link.handle("due", self.now))

    @rule(event=st.sampled_from([event for event in EVENTS if event not in NOT_HEARD]))
    def handle(self, event):
        self.is_asked = self.is_asked or event in ("retry", "reloaded")
        fault = UNREACHABLE if event == "fault" else None
        self.carry_out(self.link.handle(event, self.now, fault))
        if event == "reloaded":
            self.failures = 0
        if event in ("retry", "reloaded") and self.link.state == "closing":
            self.is_reopening = True

    @rule(fault=st.sampled_from([UNREACHABLE, TAKEN, REFUSED]))
    def break_off(self, fault):
        self.carry_out(self.link.handle("fault", self.now, fault))

    @precondition(lambda self: self.link.state in SERVING)
    @rule()
    def answer_a_ping(self):
        self.link.pong(self.now)

    @precondition(lambda self: self.link.state in SERVING)
    @rule()
    def ask(self):
        self.link.requested(self.now)

    @precondition(lambda self: self.link.state in ("live", "stale", "subscribing"))
    @rule()
    def bring_data(self):
        self.link.data(self.now)
        self.failures = 0
        if self.link.state != "subscribing":
            assert self.link.state == "live"

    @precondition(lambda self: self.link.state == "closing")
    @rule()
    def close(self):
        self.is_open = False
        self.carry_out(self.link.closed(self.now))

    @rule(is_expecting=st.booleans())
    def watch(self, is_expecting):
        self.link.watch(is_expecting=is_expecting, now=self.now)
        if not is_expecting:
            assert self.link.state != "stale"

    @rule(seconds=st.sampled_from([0.01, 0.5, 3.0, 10.0]))
    def wait(self, seconds):
        until = self.now + seconds
        while (deadline := self.link.deadline) <= until:
            self.now = max(self.now, deadline)
            self.expire()
        self.now = until

    @rule()
    def wait_for_the_deadline(self):
        self.now = max(self.now, self.link.deadline)
        self.expire()

    def expire(self):
        if self.link.state == "closing":
            self.is_open = False  # aborted, at the latest now
        before = self.link.deadline
        self.carry_out(self.link.expire(self.now))
        assert self.link.deadline > before

    def carry_out(self, actions):
        if "connect" in actions:
            assert not self.is_open
            assert self.since is None or self.is_asked or self.now - self.since >= self.least - 1e-9
            self.is_open, self.is_asked, self.is_reopening = True, False, False
        if "close" in actions:
            assert self.is_open
            self.since = None
        if "snapshot" in actions:
            self.live += 1
        assert ("gap" in actions) == ("close" in actions and self.was_live)
        if self.link.state in ("backingOff", "halted") and self.since is None:
            self.since = self.now
            self.check_wait()
        self.was_live = self.link.state in ("live", "stale")

    was_live = is_reopening = False

    def check_wait(self):
        wait, fault = self.link.deadline - self.now, self.link.fault
        if self.is_reopening:
            assert wait == pytest.approx(self.least)
        elif self.link.state == "halted":
            assert fault.again == "halt"
            assert wait == pytest.approx(HALT_SECONDS)
        elif fault is not None and fault.again == "longest":
            assert wait == pytest.approx(self.most)
        else:
            assert self.least - 1e-9 <= wait <= min(self.most, self.least * 2**self.failures) + 1e-9
            self.failures += 1

    @invariant()
    def a_connection_is_open_in_the_connected_states_and_while_closing(self):
        assert self.is_open == (self.link.state in {*CONNECTED, "closing"})

    @invariant()
    def no_deadline_is_far_away(self):
        assert self.link.deadline <= self.now + max(HALT_SECONDS, self.most)

    @invariant()
    def every_time_live_but_the_first_is_a_reconnect(self):
        assert self.link.reconnects == max(0, self.live - 1)

    @invariant()
    def a_link_that_is_up_has_no_fault_and_one_that_is_not_live_has_its_reason(self):
        if self.link.public_state == "live":
            assert self.link.fault is None
        if self.link.public_state == "halted":
            assert self.link.fault is not None


TestAnyOrder = pytest.mark.slow(AnyOrder.TestCase)
TestAnyOrder.settings = settings(REPEATABLE, stateful_step_count=60)


@pytest.mark.slow
@REPEATABLE
@given(
    silence=st.floats(1, 100),
    least=st.floats(0.05, 5),
    factor=st.floats(1, 100),
    chance=st.floats(0, 1),
    is_watched=st.booleans(),
)
def test_a_link_never_loops_without_time_passing(silence, least, factor, chance, is_watched):
    link = make_link(chance=lambda: chance, silence=silence, least=least, most=least * factor)
    link.watch(is_expecting=is_watched, now=0.0)
    link.handle("due", 0.0)
    times, attempts = [], [0.0]
    while len(times) < 60:
        now = link.deadline
        times.append(now)
        if "connect" in link.expire(now):
            attempts.append(now)
    assert all(later >= earlier for earlier, later in pairwise(times))
    assert times[-1] - times[0] > 2 * least
    assert all(later - earlier >= least for earlier, later in pairwise(attempts))
