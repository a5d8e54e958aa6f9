import asyncio
import contextlib
import os
import resource
import socket
import stat

import pytest

from condord.errors import ConfigError, Unavailable
from condord.http.limits import Limits
from condord.http.server import (
    ACCEPTED_AT_ONCE,
    SPARE_FILES,
    _max_connections,
    listen,
    listener_url,
    listening,
    require_loopback,
    reserve_files,
)
from tests import virtualtime
from tests.http.builders import tcp_address, unix_address
from tests.http.fake_daemon import serving


@pytest.fixture
def file_limits():
    """The soft and the hard limit of open files; they are restored."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_the_limit_of_open_files_is_raised_to_what_subscribers_need(file_limits, caplog):
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, file_limits[1]))
    reserve_files(500)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (500 + SPARE_FILES, file_limits[1])
    assert caplog.messages == []


def test_a_sufficient_limit_is_not_changed(file_limits, caplog):
    resource.setrlimit(resource.RLIMIT_NOFILE, (100 + SPARE_FILES, file_limits[1]))
    reserve_files(100)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (100 + SPARE_FILES, file_limits[1])
    assert caplog.messages == []


def test_a_hard_limit_that_is_too_low_is_used_with_a_warning_and_a_hint(file_limits, caplog):
    _, hard = file_limits
    reserve_files(hard)
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    (record,) = caplog.records
    needed = hard + SPARE_FILES
    assert (record.levelname, record.getMessage()) == ("WARNING", "Too few open files for server.max_subscribers")
    fields = dict(record.fields)
    hint = fields.pop("hint")
    assert fields == {"max_subscribers": hard, "needed": needed, "limit": hard}
    assert f"LimitNOFILE={needed}" in hint
    assert f"ulimit -n {needed}" in hint
    reserve_files(hard, is_child=True)  # its parent has the same limit, and has warned of it
    assert len(caplog.records) == 1


def test_the_limit_of_connections_is_some_above_the_limit_of_subscribers():
    allowed = [10]
    assert _max_connections(Limits(other_connections=3), lambda: allowed[0]) == 13
    allowed[0] = 20
    assert _max_connections(Limits(other_connections=3), lambda: allowed[0]) == 23


@pytest.mark.parametrize("subscribers", [None, lambda: 10_000])
def test_connections_are_limited_by_open_files(file_limits, subscribers):
    resource.setrlimit(resource.RLIMIT_NOFILE, (100 + SPARE_FILES, file_limits[1]))
    assert _max_connections(Limits(other_connections=3), subscribers) == 103
    resource.setrlimit(resource.RLIMIT_NOFILE, (SPARE_FILES - 1, file_limits[1]))
    assert _max_connections(Limits(other_connections=3), subscribers) == 3


def test_other_connections_fit_into_the_spare_files():
    assert Limits().other_connections + Limits().leaving_connections + ACCEPTED_AT_ONCE < SPARE_FILES


def test_a_new_connection_is_read_before_a_flood_of_others_can_evict_it():
    """The new connection gets the last of `other_connections` slots, and its token is read within three iterations of the loop."""
    assert Limits().other_connections > 3 * ACCEPTED_AT_ONCE


def test_a_burst_of_connections_waits_in_the_kernel_until_it_is_accepted():
    async def main():
        async with serving(None) as (server, port):
            burst = [socket.create_connection(("127.0.0.1", port), timeout=60) for _ in range(10 * ACCEPTED_AT_ONCE)]
            await virtualtime.until(lambda: len(server.server_state.connections) == len(burst))
            for client in burst:
                client.close()

    virtualtime.run(main())


def test_port_0_is_a_free_port_that_the_url_names():
    with listen(tcp_address()) as listener:
        assert listener_url(listener) == f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_port_in_use_is_unavailable_with_a_hint():
    with listen(tcp_address()) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(Unavailable, match=f"127.0.0.1:{port}") as caught:
            listen(tcp_address(port=port))
    assert caught.value.exit_code == 69
    assert "--port" in caught.value.hint


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_the_process_that_uses_a_port_is_named(host):
    with listen(tcp_address(host)) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(Unavailable, match=rf"in use by process {os.getpid()}$"):
            listen(tcp_address(host, port))


def test_an_address_of_another_machine_is_unavailable():
    with pytest.raises(Unavailable, match=r"203\.0\.113\.1"):
        listen(tcp_address("203.0.113.1"))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_without_a_token_loopback_and_a_unix_socket_are_allowed(tmp_path, host):
    addresses = [tcp_address(host), unix_address(tmp_path / "s")]
    with listen(addresses[0]) as one, listen(addresses[1]) as other:
        require_loopback([one, other])


def test_without_a_token_no_other_address_is_allowed():
    everywhere = tcp_address("0.0.0.0")  # noqa: S104
    with listen(everywhere) as listener, pytest.raises(ConfigError, match="token"):
        require_loopback([listener])


def test_the_kernel_queues_little_for_a_slow_subscriber():
    with listen(tcp_address()) as listener:
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) <= 65_536
        assert listener.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_unix_socket_is_accessible_to_owner_and_group(tmp_path):
    path = tmp_path / "condord.sock"
    with listen(unix_address(path)) as listener:
        assert listener_url(listener) == f"unix://{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_the_unix_socket_of_a_killed_daemon_is_replaced(tmp_path):
    path = tmp_path / "condord.sock"
    listen(unix_address(path)).close()
    with listen(unix_address(path)) as listener:
        assert listener.fileno() > 0


def test_a_unix_socket_in_use_is_unavailable_and_its_process_is_named(tmp_path):
    address = unix_address(tmp_path / "condord.sock")
    with listen(address), pytest.raises(Unavailable, match=f"process {os.getpid()} answers there"):
        listen(address)


def test_a_file_at_the_path_of_the_unix_socket_is_not_touched(tmp_path):
    path = tmp_path / "condord.sock"
    path.write_text("content")
    with pytest.raises(Unavailable, match="not a socket") as caught:
        listen(unix_address(path))
    assert caught.value.hint.startswith("Remove that file, or name another path")
    assert path.read_text() == "content"


def test_the_hint_for_a_unix_socket_without_its_directory_is_about_the_directory(tmp_path):
    with pytest.raises(Unavailable, match="No such file or directory") as caught:
        listen(unix_address(tmp_path / "none" / "condord.sock"))
    assert "in a directory that exists" in caught.value.hint


@pytest.mark.parametrize("kind", ["socket", "file", "nothing"])
def test_a_file_that_has_replaced_the_unix_socket_is_not_touched(tmp_path, kind):
    path = tmp_path / "condord.sock"
    address = unix_address(path)
    with contextlib.ExitStack() as another:
        with listening(address, []):
            path.rename(tmp_path / "first")  # so that its inode is not used again
            if kind == "socket":
                another.enter_context(listen(address))
            elif kind == "file":
                path.write_text("of another")
        assert path.exists() is (kind != "nothing")


def test_a_unix_socket_is_removed_at_the_end(tmp_path):
    path = tmp_path / "condord.sock"
    with listening(unix_address(path), []):
        assert path.is_socket()
    assert not path.exists()


def test_an_inherited_socket_is_used_and_not_removed(tmp_path):
    address = unix_address(tmp_path / "condord.sock")
    with listen(address) as inherited:
        with listening(unix_address("/nowhere"), [inherited]) as listeners:
            assert listeners == [inherited]
        assert (tmp_path / "condord.sock").exists()


async def answering(_scope, _receive, send):
    """An application that answers with an empty body."""
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize("iterations", range(5))
def test_a_client_that_connects_while_accepting_stops_is_answered_or_left_to_the_next_server(iterations):
    async def main():
        async with serving(answering) as (server, port):
            with server.servers[0].sockets[0].dup() as later, socket.create_connection(("127.0.0.1", port)) as client:
                for _ in range(iterations):
                    await asyncio.sleep(0)
                await server.stop_accepting()
                client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                client.setblocking(False)
                later.setblocking(False)
                await virtualtime.settle(0.1)
                try:
                    received = client.recv(100)
                except BlockingIOError:
                    with later.accept()[0] as left:
                        received = left.recv(100)
                assert received.startswith((b"HTTP/1.1 200 ", b"GET"))

    virtualtime.run(main())


def test_clients_that_have_connected_before_accepting_stops_are_answered():
    async def main():
        async with serving(answering) as (server, port), contextlib.AsyncExitStack() as stack:
            opened = [socket.create_connection(("127.0.0.1", port)) for _ in range(10 * ACCEPTED_AT_ONCE)]
            clients = [stack.enter_context(client) for client in opened]
            await server.stop_accepting()
            for client in clients:
                client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await virtualtime.settle(0.1)
            assert {client.recv(13) for client in clients} == {b"HTTP/1.1 200 "}

    virtualtime.run(main())
