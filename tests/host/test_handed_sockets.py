import os
import socket
from contextlib import ExitStack, closing

import pytest

from condord.host import handed_sockets
from condord.host.handed_sockets import HandedListener, hand


@pytest.fixture
def ends():
    """The end that hands over, and the listener of the other process."""
    ours, theirs = handed_sockets.pair()
    with closing(ours), HandedListener(fileno=theirs.detach()) as listener:
        listener.setblocking(False)
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
    assert hand(connection, ours)
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
            assert hand(connection, ours)
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
    assert hand(connection, ours)
    with pytest.raises(ConnectionAbortedError):
        listener.accept()


def test_a_process_that_takes_nothing_or_has_ended_is_handed_nothing(ends, connected):
    (ours, listener), (_, connection) = ends, connected
    handed = 0
    while hand(connection, ours):
        handed += 1
        assert handed < 100_000
    assert handed > 100
    listener.close()
    assert not hand(connection, ours)


def test_the_end_of_the_other_process_is_not_a_connection(ends):
    ours, listener = ends
    ours.close()
    with pytest.raises(ConnectionAbortedError):
        listener.accept()


def test_listening_is_the_business_of_the_other_process(ends):
    _, listener = ends
    listener.listen(7)
