import asyncio
import contextlib
import resource
import socket
import stat

import pytest

from condord.errors import Unavailable
from condord.http.limits import Limits
from condord.http.server import (
    ACCEPTED_AT_ONCE,
    SPARE_FILES,
    Address,
    _room,
    listen,
    listening,
    name_of,
    reserve_files,
)
from tests import virtualtime
from tests.http.asking import serving


@pytest.fixture
def limits():
    """What may be open, soft and hard; it is put back."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_as_many_files_may_be_open_as_subscribers_need(limits, caplog):
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, limits[1]))
    reserve_files(500)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (500 + SPARE_FILES, limits[1])
    assert caplog.messages == []


def test_a_limit_that_suffices_is_left_alone(limits, caplog):
    resource.setrlimit(resource.RLIMIT_NOFILE, (100 + SPARE_FILES, limits[1]))
    reserve_files(100)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (100 + SPARE_FILES, limits[1])
    assert caplog.messages == []


def test_a_hard_limit_that_is_too_low_is_reached_for_and_told_with_what_to_do(limits, caplog):
    _, hard = limits
    reserve_files(hard)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    (record,) = caplog.records
    needed = hard + SPARE_FILES
    assert (record.levelname, record.getMessage()) == ("WARNING", "Too few open files for server.max_subscribers")
    told = dict(record.fields)
    hint = told.pop("hint")
    assert told == {"max_subscribers": hard, "needed": needed, "limit": hard}
    assert f"LimitNOFILE={needed}" in hint
    assert f"ulimit -n {needed}" in hint


def test_there_is_room_for_the_subscribers_there_may_be_now_and_some_more():
    most = [10]
    assert _room(Limits(others=3), lambda: most[0]) == 13
    most[0] = 20
    assert _room(Limits(others=3), lambda: most[0]) == 23


@pytest.mark.parametrize("subscribers", [None, lambda: 10_000])
def test_there_is_no_more_room_than_files(limits, subscribers):
    resource.setrlimit(resource.RLIMIT_NOFILE, (100 + SPARE_FILES, limits[1]))
    assert _room(Limits(others=3), subscribers) == 103
    resource.setrlimit(resource.RLIMIT_NOFILE, (SPARE_FILES - 1, limits[1]))
    assert _room(Limits(others=3), subscribers) == 3


def test_those_that_may_come_beside_subscribers_fit_into_the_spare_files():
    assert Limits().others + Limits().leaving + ACCEPTED_AT_ONCE < SPARE_FILES


def test_a_burst_waits_in_the_kernel_until_it_is_accepted():
    async def main():
        async with serving(None) as (server, port):
            burst = [socket.create_connection(("127.0.0.1", port), timeout=0.5) for _ in range(10 * ACCEPTED_AT_ONCE)]
            await virtualtime.until(lambda: len(server.server_state.connections) == len(burst))
            for each in burst:
                each.close()

    virtualtime.run(main())


def test_port_0_takes_a_free_port_and_names_it():
    with listen(Address(host="127.0.0.1", port=0, uds="")) as listener:
        assert name_of(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_taken_port_is_unavailable_with_what_to_do():
    with listen(Address(host="127.0.0.1", port=0, uds="")) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(Unavailable, match=f"127.0.0.1:{port}") as caught:
            listen(Address(host="127.0.0.1", port=port, uds=""))
    assert caught.value.exit_code == 69
    assert "--port" in caught.value.hint


def test_an_address_of_another_machine_is_unavailable():
    with pytest.raises(Unavailable, match=r"203\.0\.113\.1"):
        listen(Address(host="203.0.113.1", port=0, uds=""))


def test_a_slow_subscriber_is_kept_out_of_the_kernels_buffers():
    with listen(Address(host="127.0.0.1", port=0, uds="")) as listener:
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) <= 65_536
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_unix_socket_is_for_owner_and_group(tmp_path):
    path = tmp_path / "condord.sock"
    with listen(Address(host="", port=0, uds=str(path))) as listener:
        assert name_of(listener) == f"unix://{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_a_unix_socket_that_a_killed_daemon_left_is_replaced(tmp_path):
    path = tmp_path / "condord.sock"
    listen(Address(host="", port=0, uds=str(path))).close()
    with listen(Address(host="", port=0, uds=str(path))) as listener:
        assert listener.fileno() > 0


def test_a_unix_socket_in_use_is_unavailable(tmp_path):
    address = Address(host="", port=0, uds=str(tmp_path / "condord.sock"))
    with listen(address), pytest.raises(Unavailable, match="answers there"):
        listen(address)


def test_a_file_in_place_of_the_unix_socket_is_left_alone(tmp_path):
    path = tmp_path / "condord.sock"
    path.write_text("mine")
    with pytest.raises(Unavailable, match="no socket"):
        listen(Address(host="", port=0, uds=str(path)))
    assert path.read_text() == "mine"


def test_a_unix_socket_leaves_no_file_behind(tmp_path):
    path = tmp_path / "condord.sock"
    with listening(Address(host="", port=0, uds=str(path)), []):
        assert path.is_socket()
    assert not path.exists()


def test_an_inherited_socket_is_used_as_it_is(tmp_path):
    address = Address(host="", port=0, uds=str(tmp_path / "condord.sock"))
    with listen(address) as inherited:
        with listening(Address(host="", port=0, uds="/nowhere"), [inherited]) as listeners:
            assert listeners == [inherited]
        assert (tmp_path / "condord.sock").exists()


async def answering(_scope, _receive, send):
    """An application that has nothing to say."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize("turns", range(5))
def test_who_comes_as_it_stops_to_accept_is_answered_or_left_to_whoever_listens_next(turns):
    async def main():
        async with serving(answering) as (server, port):
            with server.servers[0].sockets[0].dup() as later, socket.create_connection(("127.0.0.1", port)) as client:
                for _ in range(turns):
                    await asyncio.sleep(0)
                await server.accept_no_more()
                client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                client.setblocking(False)
                later.setblocking(False)
                await virtualtime.settle(0.1)
                try:
                    heard = client.recv(100)
                except BlockingIOError:
                    with later.accept()[0] as left:
                        heard = left.recv(100)
                assert heard.startswith((b"HTTP/1.1 200 ", b"GET"))

    virtualtime.run(main())


def test_all_who_have_connected_when_it_stops_to_accept_are_answered():
    async def main():
        async with serving(answering) as (server, port), contextlib.AsyncExitStack() as stack:
            opened = [socket.create_connection(("127.0.0.1", port)) for _ in range(10 * ACCEPTED_AT_ONCE)]
            clients = [stack.enter_context(client) for client in opened]
            await server.accept_no_more()
            for client in clients:
                client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await virtualtime.settle(0.1)
            assert {client.recv(13) for client in clients} == {b"HTTP/1.1 200 "}

    virtualtime.run(main())
