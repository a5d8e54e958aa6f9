"""A daemon and a relay whose port several processes serve."""

import contextlib
import http.client
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from condord.daemon.worker_messages import REPORT_SECONDS
from tests.cluster.processes.running import Relay, same_documents
from tests.e2e.environs import QUICK, UNPACED
from tests.e2e.preloaded import replaced
from tests.e2e.running import (
    KEYS,
    TIMEOUT_SECONDS,
    Condord,
    Follower,
    Simulated,
    Starting,
    _snake,
    closing_program,
    fetch,
    token_environ,
    until,
)

pytestmark = pytest.mark.slow

TOKEN = "token-of-all-workers-1"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
MAX_SUBSCRIBERS = 40
COUNTED_SECONDS = 1.0
"""Ten times as long as a worker takes to count that a connection is gone."""


@pytest.fixture(scope="module")
def simulated():
    with closing_program(Simulated(**replaced(**UNPACED))) as program:
        program.post("market", rate=5)
        yield program


_NUMBERS = count()


def own_key():
    """A key that no other daemon of these tests has: one stream is allowed for each."""
    return {**KEYS, "APCA_API_KEY_ID": f"PKWORKERS{next(_NUMBERS)}"}


def workers_of(pid):
    """The processes that serve for `pid`, by their number."""
    found = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            words = Path(f"/proc/{child}/cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue
        if "condord.daemon.worker" in words:
            found[int(words[-3])] = int(child)
    return found


def connections_of(pid, port):
    """How many connections to `port` a process has open."""
    inodes = set()
    for table in ("tcp", "tcp6"):
        for row in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = row.split()
            if fields[1].endswith(f":{port:04X}") and fields[3] == "01":
                inodes.add(f"socket:[{fields[9]}]")
    count = 0
    for file in Path(f"/proc/{pid}/fd").iterdir():
        try:
            count += str(file.readlink()) in inodes
        except OSError:
            continue
    return count


class Streams:
    """Open streams of one server, and what each was answered."""

    def __init__(self, url):
        self.address = urlsplit(url)
        self.statuses = []
        self._open = []

    def open(self, path="/api/stream", headers=BEARER):
        link = http.client.HTTPConnection(self.address.hostname, self.address.port, timeout=TIMEOUT_SECONDS)
        self._open.append(link)
        link.request("GET", path, headers=headers)
        answer = link.getresponse()
        self._open.append(answer)
        self.statuses.append(answer.status)
        return answer

    def open_at_once(self, number, path="/api/stream", headers=BEARER):
        threads = [threading.Thread(target=self.open, args=(path, headers)) for _ in range(number)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(TIMEOUT_SECONDS)
        return sorted(self.statuses)

    def close(self):
        for each in reversed(self._open):
            each.close()


class Served:
    """A daemon with workers and a token."""

    def __init__(self, stack, simulated, place, workers=2):
        self.place = place
        place.mkdir(exist_ok=True)
        environ = {
            **QUICK,
            **token_environ(place, TOKEN),
            "CONDORD_SERVER_WORKERS": str(workers),
            "RUNTIME_DIRECTORY": str(place),
            "CONDORD_SERVER_MAX_SUBSCRIBERS": str(MAX_SUBSCRIBERS),
        }
        urls = {f"CONDORD_ALPACA_{_snake(name)}": url for name, url in simulated.urls.items()}
        self.environ = {**QUICK, **urls}
        self.condord = stack.enter_context(closing_program(Condord(simulated, **environ)))
        self.url = self.condord.url
        self.pid = self.condord.process.pid
        until(lambda: self.status()["state"] == "live", "the daemon is live")

    @property
    def port(self):
        return urlsplit(self.url).port

    def get(self, path, **options):
        return fetch(self.url + path, headers=BEARER, **options)

    def status(self):
        return self.get("/api/status")[2]

    def await_subscribers(self, number):
        until(lambda: self.status()["subscribers"] == number, lambda: f"{number} subscribers: {self.status()}")

    def await_workers(self):
        """Wait until both serve."""

        def check():
            self.get("/livez")
            with ExitStack() as stack:
                links = [stack.enter_context(closing(socket.create_connection(("127.0.0.1", self.port)))) for _ in "12"]
                return links and min(self.spread()) > 0

        until(check, "both workers have a connection")

    def await_calm(self):
        """Wait until no connection is open, and give the workers time to count that."""
        until(lambda: not sum(self.spread()), self.spread)
        time.sleep(COUNTED_SECONDS)

    def spread(self):
        return [connections_of(pid, self.port) for pid in workers_of(self.pid).values()]


@pytest.fixture(scope="module")
def served(simulated, tmp_path_factory):
    with ExitStack() as stack:
        yield Served(stack, simulated, tmp_path_factory.mktemp("served"))


@pytest.fixture(autouse=True)
def _alone(request):
    """Each test begins without subscribers."""
    if "served" in request.fixturenames:
        request.getfixturevalue("served").await_subscribers(0)


def number_of(exposition, name):
    return float(re.search(rf"(?m)^{re.escape(name)} (\S+)$", exposition)[1])


def test_the_limit_of_subscribers_counts_all_workers_together_even_if_clients_come_at_once(served):
    with closing(Streams(served.url)) as streams:
        statuses = streams.open_at_once(MAX_SUBSCRIBERS + 20)
        # If two workers reserve the last slot at once, both may refuse, but never both accept.
        assert statuses.count(200) <= MAX_SUBSCRIBERS
        while streams.statuses.count(200) < MAX_SUBSCRIBERS:
            assert streams.open().status == 200
        assert streams.open().status == 503
        served.await_subscribers(MAX_SUBSCRIBERS)
        assert served.status()["maxSubscribers"] == MAX_SUBSCRIBERS


def test_subscribers_spread_evenly_and_every_worker_answers_for_all(served):
    served.await_calm()  # else those of the test before still count for one of them
    with closing(Streams(served.url)) as streams:
        streams.open_at_once(MAX_SUBSCRIBERS)
        while streams.statuses.count(200) < MAX_SUBSCRIBERS:
            streams.open()
        # The refused ones and those of other requests close a moment later.
        until(lambda: sum(served.spread()) == MAX_SUBSCRIBERS, served.spread)
        assert all(abs(each - MAX_SUBSCRIBERS / 2) <= 0.2 * MAX_SUBSCRIBERS / 2 for each in served.spread()), (
            served.spread()
        )
        answers = [served.status() for _ in range(6)]
        assert {(each["subscribers"], each["pid"], each["cluster"]["role"]) for each in answers} == {
            (MAX_SUBSCRIBERS, served.pid, "all")
        }
        for _ in range(4):
            exposition = served.get("/metrics")[2]
            names = re.findall(r"(?m)^([^#\s]\S*(?: [^#\s]\S*=\S*)*) \S+$", exposition)
            assert len(names) == len(set(names))
            assert number_of(exposition, "condord_subscribers") == MAX_SUBSCRIBERS
            assert number_of(exposition, "condord_max_subscribers") == MAX_SUBSCRIBERS
            assert number_of(exposition, 'condord_upstream_connected{stream="option"}') == 1


def test_counters_are_the_sum_and_never_decrease_when_a_worker_is_killed(served):
    name = 'condord_http_requests_total{route="/livez",status="200"}'
    for _ in range(20):
        assert fetch(served.url + "/livez")[0] == 200
    until(lambda: name in served.get("/metrics")[2], "requests in the metrics")
    before = until(
        lambda: (found := number_of(served.get("/metrics")[2], name)) >= 20 and found, "20 requests are counted"
    )
    time.sleep(2 * REPORT_SECONDS)  # what a worker counts after its last report is lost with it
    first = workers_of(served.pid)
    os.kill(first[0], signal.SIGKILL)
    until(lambda: workers_of(served.pid).get(0) not in (None, first[0]), "another worker")
    assert number_of(served.get("/metrics")[2], name) >= before


def test_clients_of_a_killed_worker_come_back_without_a_loss(served):
    served.await_workers()
    with ExitStack() as stack:
        followers = [stack.enter_context(closing(Follower(served.url, **BEARER))) for _ in range(4)]
        until(lambda: all(len(each.documents) > 2 for each in followers), "events")
        first = workers_of(served.pid)
        os.kill(first[1], signal.SIGKILL)
        until(lambda: any(each.ended.is_set() for each in followers), "the streams of the worker end")
        ended = [each for each in followers if each.ended.is_set()]
        assert len(ended) < 4
        again = stack.enter_context(closing(Follower(served.url, **BEARER, **{"Last-Event-ID": ended[0].last_id})))
        until(lambda: again.names, "an event")
        assert again.names[0] == "delta"
        assert again.last_id.partition("-")[0] == ended[0].last_id.partition("-")[0]


def test_a_ticket_opens_one_stream_whichever_worker_is_asked(served):
    for _ in range(3):
        ticket = served.get("/api/tickets", method="POST")[2]["ticket"]
        with closing(Streams(served.url)) as streams:
            statuses = streams.open_at_once(8, f"/api/stream?ticket={ticket}", {})
        assert statuses == [200, *[401] * 7]


@contextlib.contextmanager
def stopped(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_while_a_worker_is_stopped_every_connection_is_answered_by_the_other(served):
    served.await_workers()
    with stopped(workers_of(served.pid)[0]), closing(Streams(served.url)) as streams:
        # At once, so that half of them are handed to the stopped one before it is known to be.
        assert streams.open_at_once(10, "/livez") == [200] * 10
        assert streams.open_at_once(4)[-4:] == [200] * 4
    served.await_workers()


def test_a_pause_of_the_daemon_ends_no_worker_and_no_stream(served):
    pids = workers_of(served.pid)
    with closing(Follower(served.url, **BEARER)) as follower:
        until(lambda: follower.document, "a document")
        with stopped(served.pid):
            until(lambda: follower.document["status"]["code"] == "sourceLost", "the worker has lost the daemon")
        until(lambda: follower.document["status"]["code"] is None, "the daemon is back")
        assert not follower.ended.is_set()
    assert workers_of(served.pid) == pids


def test_connections_closed_while_the_daemon_was_paused_do_not_count_against_the_limit(served):
    (source,) = served.place.glob("condord-*/source.sock")
    request = f"GET /api/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
    with ExitStack() as stack:
        for _ in range(10):
            link = stack.enter_context(closing(socket.socket(socket.AF_UNIX)))
            link.settimeout(TIMEOUT_SECONDS)
            link.connect(str(source))
            link.sendall(request)
            assert link.recv(13) == b"HTTP/1.1 200 "


def test_log_lines_of_a_worker_name_it_and_the_daemons_name_no_worker(served):
    named = re.findall(r" Serving (?:process=(\S+) )?version=", "".join(served.condord.stderr))
    assert (named.count(""), {*named}) == (1, {"", "worker-1", "worker-2"})
    killed = workers_of(served.pid)[0]
    os.kill(killed, signal.SIGKILL)
    served.condord.await_line(f"A child process has ended .* child=worker-1 pid={killed} ")
    until(lambda: workers_of(served.pid).get(0) not in (None, killed), "another worker")


def open_files(pid: int) -> set[str]:
    """What the descriptors of a process refer to, without those that it closes meanwhile."""
    names = set()
    for file in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            names.add(str(file.readlink()))
    return names


def test_workers_have_no_key_and_few_descriptors(served):
    for pid in workers_of(served.pid).values():
        environ = Path(f"/proc/{pid}/environ").read_text()
        assert not re.search("APCA|CONDORD|CREDENTIALS|TOKEN", environ)
        arguments = Path(f"/proc/{pid}/cmdline").read_text()
        assert TOKEN not in arguments
        names = open_files(pid)
        assert names
        assert not [name for name in names if re.search(r"sqlite|lock|token|key", name)]


def test_a_worker_checks_token_and_host_and_passes_other_requests_to_the_daemon(served):
    for path in ("/api/positions", "/api/status", "/metrics", "/api/stream"):
        assert fetch(served.url + path)[0] == 401
    assert fetch(served.url + "/api/positions", headers={**BEARER, "Host": "evil.example"})[0] == 421
    for path in ("/api/history?points=7", "/api/trades", "/api/alerts", "/readyz"):
        until(lambda path=path: served.get(path)[0] == 200, path)
    # A worker that a test before has stopped may still have lost the daemon.
    until(lambda: served.get("/api/refresh", method="POST")[0] == 202, "a refresh")
    assert fetch(served.url + "/readyz")[::2] == (200, "")


def test_a_second_daemon_on_the_port_is_refused(served, simulated):
    urls = {name: value for name, value in served.environ.items() if name.startswith("CONDORD_ALPACA")}
    environ = {**own_key(), **urls, "CONDORD_SERVER_WORKERS": "2"}
    with closing(Starting("start", "--port", str(served.port), environ=environ)) as other:
        assert other.wait() == 69
        assert f"cannot listen on 127.0.0.1:{served.port}" in "".join(other.stderr)


def test_a_reload_reaches_every_worker(simulated, tmp_path):
    file = tmp_path / "condord.toml"
    file.write_text("[server]\nworkers = 2\n")
    with closing_program(Condord(simulated, "--config", str(file), **QUICK, **own_key())) as condord:
        condord.await_state("live")
        pids = workers_of(condord.process.pid)
        with closing(Follower(condord.url)) as follower:
            file.write_text('[server]\nworkers = 2\nmax_subscribers = 1\nallowed_hosts = ["condord.example"]\n')
            condord.process.send_signal(signal.SIGHUP)
            condord.await_line("Configuration reloaded")
            host = {"Host": "condord.example"}
            until(lambda: [fetch(f"{condord.url}/api/status", headers=host)[0] for _ in range(4)] == [200] * 4, "hosts")
            with closing(Streams(condord.url)) as streams:
                until(lambda: [streams.open(headers={}).status for _ in range(2)] == [503, 503], "the new limit")
            assert not follower.ended.is_set()
        assert workers_of(condord.process.pid) == pids
        assert [line for line in condord.stderr if "Configuration reloaded" in line][1:] == []


AS_SYSTEMD = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
os.execv(sys.argv[2], sys.argv[2:])
"""


class Grouped:
    """A daemon in a process group of its own, as a shell starts it, with two workers."""

    def __init__(self, environ, *command, pass_fds=()):
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("APCA_", "CONDORD_"))}
        self.process = subprocess.Popen(
            [*command, sys.executable, "-m", "condord", "start", "--port", "0"],
            env={**clean, "HOME": "/nonexistent", **own_key(), "CONDORD_SERVER_WORKERS": "2", **environ},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            pass_fds=pass_fds,
        )
        self.stderr = []
        for line in self.process.stderr:
            self.stderr.append(line)
            if found := re.search(r"condord \S+ serves at (\S+)", line):
                self.url = found[1]
                return
        raise AssertionError("".join(self.stderr))

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        if self.process.stderr.closed:
            return
        self.stderr += self.process.stderr.readlines()
        self.process.wait(TIMEOUT_SECONDS)
        self.process.stderr.close()


def test_ctrl_c_sends_bye_to_every_subscriber_and_ends_all_processes_with_one_exit_code(served):
    with closing(Grouped(served.environ)) as daemon:
        pids = workers_of(daemon.process.pid)
        with ExitStack() as stack:
            followers = [stack.enter_context(closing(Follower(daemon.url))) for _ in range(4)]
            until(lambda: all(each.names for each in followers), "events")
            os.killpg(daemon.process.pid, signal.SIGINT)
            assert daemon.process.wait(TIMEOUT_SECONDS) == 0
            until(lambda: all(each.ended.is_set() for each in followers), "the streams end")
            assert [each.names[-1] for each in followers] == ["bye"] * 4
        daemon.close()
        assert not [pid for pid in pids.values() if Path(f"/proc/{pid}").exists()]
        assert not [line for line in daemon.stderr if "Traceback" in line or "error" in line.split()[2:3]]
        assert len([line for line in daemon.stderr if "serves at" in line]) == 1


def test_the_workers_of_a_killed_daemon_end(served):
    with closing(Grouped(served.environ)) as daemon:
        pids = workers_of(daemon.process.pid)
        daemon.process.kill()
        until(lambda: not [pid for pid in pids.values() if Path(f"/proc/{pid}").exists()], "the workers end")


def test_sockets_that_systemd_has_opened_are_served_by_workers(served):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.fileno()
        command = [sys.executable, "-c", AS_SYSTEMD, str(number)]
        with closing(Grouped(served.environ, *command, pass_fds=[number])) as daemon:
            assert daemon.url == f"http://127.0.0.1:{listener.getsockname()[1]}"
            with closing(Follower(daemon.url)) as follower:
                until(lambda: follower.names, "an event")
            daemon.process.terminate()
            assert daemon.process.wait(TIMEOUT_SECONDS) == 0


def test_a_relay_may_have_workers(served):
    relay = Relay(served.url, CONDORD_TOKEN=TOKEN, CONDORD_SERVER_WORKERS="2")
    with closing_program(relay), closing(Follower(served.url, **BEARER)) as beside:
        relay.await_read()
        assert relay.status()["cluster"] | {"lagMs": None} == {
            "role": "relay", "leader": None, "fence": None, "source": served.url, "lagMs": None, "gaps": 0, "dropped": 0
        }  # fmt: skip
        with closing(Follower(relay.url)) as follower:
            same_documents(beside, follower, 3)
            with stopped(relay.process.pid):
                until(lambda: follower.document["status"]["code"] == "sourceLost", "the worker has lost the relay")
                # It must not name the source of the relay, of which nothing is known to be wrong.
                text = f"{socket.gethostname()} has lost the daemon of this worker: "
                assert follower.document["status"]["reason"].startswith(text)
            until(lambda: follower.document["status"]["code"] is None, "the relay is back")
        assert relay.get("/api/trades")[0] == 200
        assert relay.stop() == 0


def test_a_relay_with_workers_serves_while_its_source_is_down():
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        source = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    with closing_program(Relay(source, CONDORD_SERVER_WORKERS="2")) as relay:
        assert relay.get("/readyz")[0] == 503
        assert relay.get("/livez")[0] == 200
