import base64
import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from condord.http.tickets import LIFETIME, TicketFiles, Tickets
from tests.http.builders import TOKEN
from tests.http.fake_daemon import NOW_AT

SECOND = dt.timedelta(seconds=1)


class Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.now_at = NOW_AT

    def __call__(self) -> dt.datetime:
        return self.now_at


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def tickets(clock):
    return Tickets(TOKEN, now_at=clock)


def server(token=TOKEN):
    """The tickets of a server, at `NOW_AT`."""
    return Tickets(token, now_at=Clock())


def test_a_ticket_is_accepted_once(tickets):
    ticket = tickets.issue().ticket
    assert [tickets.accept(ticket) for _ in range(3)] == [True, False, False]


def test_a_ticket_is_valid_for_thirty_seconds_and_contains_its_expiry(tickets, clock):
    early, late = tickets.issue(), tickets.issue()
    assert early.expires_at == NOW_AT + dt.timedelta(seconds=30)
    clock.now_at = early.expires_at - dt.timedelta(milliseconds=1)
    assert tickets.accept(early.ticket)
    clock.now_at = late.expires_at
    assert not tickets.accept(late.ticket)


def test_every_server_with_the_same_token_accepts_a_ticket_once():
    issuing = server()
    ticket = issuing.issue().ticket
    for _ in range(2):
        other = server()
        assert [other.accept(ticket), other.accept(ticket)] == [True, False]
    assert issuing.accept(ticket)


def test_a_server_with_another_token_accepts_no_ticket():
    assert not server("another-token-of-some-length").accept(server().issue().ticket)


def test_tickets_are_unique_and_do_not_contain_the_token(tickets):
    issued = {tickets.issue().ticket for _ in range(100)}
    assert len(issued) == 100
    assert not [ticket for ticket in issued if TOKEN.encode() in base64.urlsafe_b64decode(ticket + "=")]


def test_a_ticket_needs_no_escaping_in_an_address(tickets):
    assert set(tickets.issue().ticket) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_another_encoding_of_a_used_ticket_is_the_same_ticket(tickets):
    """The last character of base64 has unused bits, so several characters decode to the same bytes."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    ticket = tickets.issue().ticket
    assert tickets.accept(ticket)
    assert not any(tickets.accept(ticket[:-1] + letter) for letter in alphabet)
    assert not tickets.accept(ticket + "=")


@given(st.integers(min_value=0, max_value=55), st.integers(min_value=1, max_value=255))
def test_a_ticket_with_any_byte_changed_is_not_accepted(position, change):
    tickets = server()
    raw = bytearray(base64.urlsafe_b64decode(tickets.issue().ticket + "="))
    raw[position] ^= change
    assert not tickets.accept(base64.urlsafe_b64encode(raw).decode().rstrip("="))


@given(st.text(max_size=100))
def test_no_other_text_is_accepted(text):
    assert not server().accept(text)


def test_a_used_ticket_stays_used_when_the_clock_is_set_back_a_little(tickets, clock):
    ticket = tickets.issue().ticket
    assert tickets.accept(ticket)
    clock.now_at += LIFETIME + 30 * SECOND
    assert tickets.accept(tickets.issue().ticket)
    clock.now_at -= 31 * SECOND
    assert not tickets.accept(ticket)


def test_when_too_many_tickets_are_remembered_none_is_accepted_until_some_are_forgotten(clock):
    tickets = Tickets(TOKEN, now_at=clock, max_used=3)
    assert [tickets.accept(tickets.issue().ticket) for _ in range(5)] == [True, True, True, False, False]
    clock.now_at += LIFETIME + 60 * SECOND
    assert tickets.accept(tickets.issue().ticket)


def test_processes_with_one_directory_remember_used_tickets_together(clock, tmp_path):
    one, other = (Tickets(TOKEN, now_at=clock, shared=TicketFiles(tmp_path)) for _ in range(2))
    tickets = [one.issue().ticket for _ in range(3)]
    assert [one.accept(tickets[0]), other.accept(tickets[1])] == [True, True]
    assert [other.accept(tickets[0]), one.accept(tickets[1])] == [False, False]
    assert len(list(tmp_path.iterdir())) == 2
    clock.now_at += LIFETIME + 60 * SECOND
    assert one.accept(one.issue().ticket)
    assert other.accept(other.issue().ticket)
    assert len(list(tmp_path.iterdir())) == 2  # those that have expired are forgotten


def test_without_a_writable_directory_no_ticket_is_accepted(clock, tmp_path):
    tickets = Tickets(TOKEN, now_at=clock, shared=TicketFiles(tmp_path / "missing"))
    assert not tickets.accept(tickets.issue().ticket)


class TwoServers(RuleBasedStateMachine):
    """Two servers with one token, compared with a plain record of which tickets each has accepted."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.servers = [Tickets(TOKEN, now_at=self.clock) for _ in range(2)]
        self.issued: list = []
        self.accepted: set = set()

    @rule(server=st.integers(0, 1))
    def issue(self, server):
        self.issued.append(self.servers[server].issue())

    @rule(seconds=st.integers(0, 20))
    def wait(self, seconds):
        self.clock.now_at += seconds * SECOND

    @rule(server=st.integers(0, 1), index=st.integers(0, 10))
    def offer(self, server, index):
        if not self.issued:
            return
        ticket = self.issued[index % len(self.issued)]
        is_valid = self.clock.now_at < ticket.expires_at and (server, ticket.ticket) not in self.accepted
        assert self.servers[server].accept(ticket.ticket) == is_valid
        if is_valid:
            self.accepted.add((server, ticket.ticket))

    @invariant()
    def only_used_tickets_are_remembered(self):
        assert all(len(server._used) <= len(self.accepted) for server in self.servers)
        assert all(len(server._used) == len(server._forgettable) for server in self.servers)


TestTwoServers = TwoServers.TestCase


def test_used_tickets_are_forgotten_after_a_while(tickets, clock):
    for _ in range(500):
        assert tickets.accept(tickets.issue().ticket)
        clock.now_at += SECOND
    assert len(tickets._used) <= 90


@pytest.mark.parametrize("ticket", ["", "=", "A", "\xe9", "A" * 75, "A" * 10_000, "A B", "\ud800"])
def test_a_malformed_ticket_is_not_accepted(ticket):
    assert not server().accept(ticket)
