import contextlib
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from condord.config.schema import Config
from condord.errors import ConfigError
from condord.host import systemd
from condord.host.hang_watchdog import REPORT_SECONDS, STEP_SECONDS, STEPS
from condord.host.systemd import Notifier, listen_sockets
from condord.http.server import SPARE_FILES, ListenAddress, listen, listening
from tests.needs import without

UNITS = Path(__file__).parents[2] / "systemd"
SYSTEM, SOCKET, USER = UNITS / "condord.service", UNITS / "condord.socket", UNITS / "condord-user.service"
RELAY = UNITS / "condord-relay.service"
needs_analyze = without("systemd as root", shutil.which("systemd-analyze") is None)


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    """A socket like systemd's, and its name in NOTIFY_SOCKET."""
    name = str(tmp_path / "notify") if request.param == "path" else f"\0condord-{os.getpid()}-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(name)
        receiver.settimeout(60)
        yield receiver, name.replace("\0", "@")


def test_the_environment_of_a_child_has_no_variables_that_are_meant_for_this_process():
    environ = {"NOTIFY_SOCKET": "/n", "WATCHDOG_PID": "1", "WATCHDOG_USEC": "1", "LISTEN_FDS": "1", "HOME": "/h"}
    assert systemd.without_systemd(environ) == {"HOME": "/h"}
    assert len(environ) == 5


def test_each_call_sends_what_systemd_expects(manager):
    receiver, address = manager
    notifier = Notifier.from_environ({"NOTIFY_SOCKET": address})

    def sent(call, *arguments):
        call(*arguments)
        return receiver.recv(4096).decode()

    assert sent(notifier.ready, "8 symbols,\nlive") == "READY=1\nSTATUS=8 symbols, live"
    assert sent(notifier.ready) == "READY=1"
    assert sent(notifier.status, "closed\nREADY=1") == "STATUS=closed READY=1"
    assert sent(notifier.ping) == "WATCHDOG=1"
    assert sent(notifier.stopping) == "STOPPING=1"
    assert re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=\d+", sent(notifier.reloading))
    notifier.close()
    notifier.ping()
    receiver.settimeout(0)
    with pytest.raises(BlockingIOError):
        receiver.recv(1)


def test_without_systemd_every_call_does_nothing():
    notifier = Notifier.from_environ({})
    assert notifier.watchdog_seconds is None
    for call in (notifier.ping, notifier.stopping, notifier.reloading, notifier.close):
        call()
    notifier.ready("x")
    notifier.status("x")


@pytest.mark.parametrize("address", ["/nowhere/at/all", "/" + "x" * 200, "@", "vsock:2:1"])
def test_a_broken_socket_raises_nothing(address):
    notifier = Notifier.from_environ({"NOTIFY_SOCKET": address})
    notifier.ready("x")
    notifier.ping()
    notifier.close()


def test_a_message_to_a_full_socket_is_dropped_without_waiting(manager):
    _, address = manager
    notifier = Notifier.from_environ({"NOTIFY_SOCKET": address})
    for _ in range(2000):
        notifier.status("x" * 1000)
    notifier.close()


@pytest.mark.parametrize(
    ("pid", "usec", "seconds"),
    [
        ("ours", "30000000", 15.0),
        ("", "30000000", 15.0),
        ("1", "30000000", None),
        ("", "", None),
        ("", "0", None),
        ("", "soon", None),
        ("", "-5", None),
    ],
)
def test_the_watchdog_is_pinged_at_half_its_timeout_by_the_process_it_names(pid, usec, seconds):
    pid = str(os.getpid()) if pid == "ours" else pid
    notifier = Notifier.from_environ({"WATCHDOG_PID": pid, "WATCHDOG_USEC": usec})
    assert notifier.watchdog_seconds == seconds


@settings(deadline=None)  # the machine may be busy
@given(st.dictionaries(st.sampled_from(["WATCHDOG_PID", "WATCHDOG_USEC", "LISTEN_PID", "LISTEN_FDS"]), st.text()))
def test_any_value_of_the_variables_is_read_without_an_error(environ):
    Notifier.from_environ(environ).close()
    assert listen_sockets(environ) == []
    assert environ == {}


def test_children_do_not_inherit_the_variables_of_this_process(tmp_path):
    environ = {"NOTIFY_SOCKET": str(tmp_path / "x"), "WATCHDOG_PID": "1", "WATCHDOG_USEC": "1", "HOME": "/"}
    Notifier.from_environ(environ).close()
    assert environ == {"HOME": "/"}


def test_sockets_of_another_process_are_left_alone():
    environ = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "a"}
    assert listen_sockets(environ) == []
    assert environ == {}


def test_the_sockets_that_systemd_opened_are_returned(tmp_path):
    program = (
        "import os, socket, sys; from condord.host.systemd import listen_sockets\n"
        "os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.set_inheritable(3, True)\n"
        "os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS='2')\n"
        "found = listen_sockets(os.environ)\n"
        "print([each.getsockname() for each in found], [each.family.name for each in found])\n"
        "print(os.get_inheritable(3), 'LISTEN_FDS' in os.environ)\n"
    )
    path = str(tmp_path / "s")
    with socket.socket() as tcp, socket.socket(socket.AF_UNIX) as unix:
        tcp.bind(("127.0.0.1", 0))
        unix.bind(path)
        tcp.listen()
        unix.listen()
        fds = (tcp.fileno(), unix.fileno())
        ran = subprocess.run(
            [sys.executable, "-W", "ignore::ResourceWarning", "-c", program, *map(str, fds)],
            pass_fds=fds,
            capture_output=True,
            text=True,
        )
        address = tcp.getsockname()
    assert ran.stderr == ""
    assert ran.stdout == f"{[address, path]} ['AF_INET', 'AF_UNIX']\nFalse False\n"


@pytest.mark.parametrize("kind", ["file", "connected", "datagram", "closed"])
def test_a_descriptor_that_is_not_a_listening_socket_is_a_configuration_error(monkeypatch, tmp_path, kind):
    with contextlib.ExitStack() as stack:
        first, second = map(stack.enter_context, socket.socketpair())
        datagram = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        file = stack.enter_context((tmp_path / "file").open("w"))
        given = {"file": file, "connected": first, "datagram": datagram, "closed": second}[kind].fileno()
        if kind == "closed":
            second.close()
        monkeypatch.setattr(systemd, "_FIRST_FD", given)
        with pytest.raises(ConfigError, match=f"file descriptor {given}, .* is not a listening socket") as caught:
            listen_sockets({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"})
    assert caught.value.exit_code == 78
    assert "ListenStream=" in caught.value.hint


# The units


def settings(path):
    found = {}
    for line in path.read_text().splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


@needs_analyze
@pytest.mark.parametrize(
    ("unit", "scope"), [(SYSTEM, "--system"), (RELAY, "--system"), (SOCKET, "--system"), (USER, "--user")]
)
def test_systemd_verifies_the_units_without_a_message(tmp_path, unit, scope):
    for path in {unit, SYSTEM}:  # the socket belongs to the service
        text = re.sub(r"(?m)^ExecStart=\S+", "ExecStart=/bin/true", path.read_text())
        (tmp_path / path.name).write_text(text)  # the program is installed on a user's machine, not here
    ran = subprocess.run(
        ["systemd-analyze", scope, "verify", str(tmp_path / unit.name)],
        env=os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")


@needs_analyze
@pytest.mark.parametrize("unit", [SYSTEM, RELAY])
def test_the_exposure_of_the_service_is_low(unit):
    ran = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)], capture_output=True, text=True
    )
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", ran.stdout)
    assert level is not None, ran.stderr
    assert float(level[1]) <= 1.2


@pytest.mark.parametrize("unit", [SYSTEM, USER, RELAY])
def test_the_units_agree_with_the_daemon(unit):
    found = settings(unit)
    assert found["Type"] == ["notify"]
    assert found["NotifyAccess"] == ["main"]
    assert found["WatchdogSec"] == ["30"]
    assert found["Restart"] == ["on-failure"]
    assert found["RestartPreventExitStatus"] == ["77 78"]
    assert found["ExecReload"] == ["/bin/kill -HUP $MAINPID"]


def test_each_unit_starts_the_program_where_its_comment_installs_it():
    assert settings(SYSTEM)["ExecStart"] == ["/opt/condord/bin/condord start --config /etc/condord/condord.toml"]
    assert settings(USER)["ExecStart"] == ["%h/.local/bin/condord start"]
    assert settings(RELAY)["ExecStart"] == ["/opt/condord/bin/condord relay --config /etc/condord/relay.toml"]


def test_the_relay_is_restricted_as_the_daemon_is_and_has_no_key_and_no_state():
    daemon, relay = settings(SYSTEM), settings(RELAY)
    of_the_daemon = {
        "LoadCredential",
        "SetCredential",
        "StateDirectory",
        "StateDirectoryMode",
        "RuntimeDirectory",
        "RuntimeDirectoryMode",
    }
    assert daemon.keys() - relay.keys() == of_the_daemon
    assert relay.keys() - daemon.keys() == {"EnvironmentFile"}
    different = {name for name in daemon.keys() & relay.keys() if daemon[name] != relay[name]}
    assert different == {"Description", "After", "ExecStart", "Environment", "TasksMax"}


def test_the_service_passes_the_credentials_under_the_expected_names():
    for setting in ("LoadCredential", "SetCredential"):
        names = [value.split(":")[0] for value in settings(SYSTEM)[setting]]
        assert names == ["apca-api-key-id", "apca-api-secret-key"]


def test_the_socket_has_the_default_address_of_the_daemon():
    server = Config().server
    assert settings(SOCKET)["ListenStream"] == [f"{server.host}:{server.port}"]


def test_the_service_may_open_as_many_files_as_the_subscribers_need():
    _, hard = settings(SYSTEM)["LimitNOFILE"][0].split(":")
    assert int(hard) > 100 * (Config().server.max_subscribers + SPARE_FILES)


def test_a_hanging_daemon_reports_before_systemd_kills_it():
    assert float(settings(SYSTEM)["WatchdogSec"][0]) > STEPS * STEP_SECONDS + REPORT_SECONDS


def test_a_socket_from_systemd_has_the_options_of_our_own():
    def options(listener):
        wanted = (socket.TCP_NODELAY, socket.TCP_NOTSENT_LOWAT)
        return [listener.getsockopt(socket.IPPROTO_TCP, option) for option in wanted]

    with (
        socket.create_server(("127.0.0.1", 0)) as theirs,
        listen(ListenAddress(host="127.0.0.1", port=0, uds="")) as ours,
    ):
        assert options(theirs) != options(ours)
        with listening(ListenAddress(host="", port=0, uds=""), [theirs]) as listeners:
            assert [options(listener) for listener in listeners] == [options(ours)]
