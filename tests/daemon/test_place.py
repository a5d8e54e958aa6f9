import socket
import stat
from pathlib import Path

import pytest

from condord.config.schema import Server
from condord.daemon import place as places
from condord.errors import ConfigError, Unavailable
from condord.host.secret import Secret
from condord.http.server import BACKLOG


def opened(inherited=(), token=None, environ=None, **settings):
    section = Server(**{"port": 0, **settings})
    return places.opened(section, inherited, token=token, environ=environ or {})


def test_a_process_without_workers_serves_itself():
    with opened() as place:
        (listener,) = place.listeners
        assert place.address == f"http://127.0.0.1:{listener.getsockname()[1]}"
        assert (place.takes_any_host, place.worker_resources) == (False, None)
        section = Server(max_subscribers=7)
        assert place.own_section(section) is section


def test_with_workers_the_daemon_serves_on_a_private_socket_and_its_workers_at_the_address(tmp_path):
    with opened(workers=3, max_subscribers=7, environ={"RUNTIME_DIRECTORY": str(tmp_path)}) as place:
        (inner,), (outer,) = place.listeners, place.worker_resources.listeners
        source = Path(place.worker_resources.source)
        assert inner.getsockname() == str(source)
        assert stat.S_IMODE(source.stat().st_mode) == 0o600
        assert stat.S_IMODE(source.parent.stat().st_mode) == 0o700
        assert source.parent.parent == tmp_path
        assert place.address == f"http://127.0.0.1:{outer.getsockname()[1]}"
        assert place.worker_resources.tickets.is_dir()
        assert place.worker_resources.counts.processes == 3
        # Its workers are never refused: what they gave up during a pause may fill the whole queue.
        assert place.own_section(Server(workers=3, max_subscribers=1)).max_subscribers == BACKLOG
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "/nonexistent", "/" + "x" * 90])
def test_without_a_usable_runtime_directory_a_temporary_one_is_taken(name, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with opened(workers=2, environ={"XDG_RUNTIME_DIR": name}) as place:
        assert place.worker_resources.directory.parent == tmp_path


def test_the_workers_listen_on_the_sockets_of_systemd():
    with socket.create_server(("127.0.0.1", 0)) as inherited, opened([inherited], workers=2) as place:
        assert place.worker_resources.listeners == [inherited]
        assert place.address == f"http://127.0.0.1:{inherited.getsockname()[1]}"


@pytest.mark.parametrize("workers", [1, 2])
def test_other_machines_need_a_token(workers):
    with socket.create_server(("0.0.0.0", 0)) as inherited:  # noqa: S104
        with pytest.raises(ConfigError, match="without a token"), opened([inherited], workers=workers):
            pass
        with opened([inherited], token=Secret("hush"), workers=workers):
            pass


@pytest.mark.parametrize("workers", [1, 2])
def test_a_taken_port_is_refused(workers):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match="cannot listen on"), opened(port=port, workers=workers):
            pass


def test_without_a_place_for_a_private_directory_there_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))
    with pytest.raises(Unavailable, match="no private directory") as raised, opened(workers=2):
        pass
    assert "server.workers = 1" in raised.value.hint
