import os
import socket
from contextlib import ExitStack, closing

import pytest

from condord.host.handed_sockets import HandedListener, Handover


@pytest.fixture
def ends():
    """The side that hands over, and the listener of the other process."""
    with closing(Handover()) as ours, HandedListener(fileno=os.dup(ours.descriptor)) as listener:
        yield ours, listener


@pytest.fixture
def connected():
    """A client and the connection that was accepted for it."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        connection, _ = listener.accept()
        with connection:
            yield client, connection


def test_a_connection_works_in_the_other_process_and_has_its_clients_address(ends, connected):
    (ours, listener), (client, connection) = ends, connected
    assert ours.hand(connection)
    connection.close()
    taken, address = listener.accept()
    with taken:
        assert address == client.getsockname()
        assert not os.get_inheritable(taken.fileno())
        client.sendall(b"ping")
        assert taken.recv(4) == b"ping"
    assert listener.taken == 1


def test_connections_come_one_at_a_time_in_order(ends):
    ours, listener = ends
    with ExitStack() as stack:
        pairs = [stack.enter_context(closing(each)) for _ in range(5) for each in socket.socketpair()]
        for connection in pairs[1::2]:
            assert ours.hand(connection)
        for client in pairs[::2]:
            taken, _ = listener.accept()
            with taken:
                taken.sendall(b"x")
            assert client.recv(1) == b"x"
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_a_client_that_has_gone_is_skipped(ends, connected):
    (ours, listener), (client, connection) = ends, connected
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    assert ours.hand(connection)
    with pytest.raises(ConnectionAbortedError):
        listener.accept()


def test_a_process_that_accepts_nothing_is_handed_no_more_than_can_wait(ends, connected):
    (ours, _), (_, connection) = ends, connected
    handed = 0
    while ours.hand(connection):
        handed += 1
        assert handed < 100_000
    assert ours.handed == handed > 100


def test_connections_not_accepted_are_taken_back_in_order_and_cannot_be_accepted_later(ends):
    ours, listener = ends
    with ExitStack() as stack:
        pairs = [stack.enter_context(closing(each)) for _ in range(3) for each in socket.socketpair()]
        for connection in pairs[1::2]:
            assert ours.hand(connection)
        stack.enter_context(listener.accept()[0])
        back = [stack.enter_context(connection) for connection in ours.take_back()]
        assert ours.handed == 1
        for client, connection in zip(pairs[2::2], back, strict=True):
            connection.sendall(b"x")
            assert client.recv(1) == b"x"
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_connections_that_a_process_has_not_accepted_when_it_ends_are_taken_back(ends, connected):
    (ours, listener), (client, connection) = ends, connected
    assert ours.hand(connection)
    listener.close()
    (back,) = ours.take_back()
    with back:
        back.sendall(b"x")
        assert client.recv(1) == b"x"


def test_clients_that_have_gone_are_skipped_when_connections_are_taken_back(ends, connected):
    (ours, _), (client, connection) = ends, connected
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    assert ours.hand(connection)
    assert list(ours.take_back()) == []
    assert ours.handed == 0


def test_the_end_of_the_other_process_is_not_a_connection(ends):
    ours, listener = ends
    ours.close()
    with pytest.raises(ConnectionAbortedError):
        listener.accept()


def test_listening_is_left_to_the_other_process(ends):
    _, listener = ends
    listener.listen(7)
