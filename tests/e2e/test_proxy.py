"""The snippets for nginx and Caddy in docs/operations.md, unchanged, in front of a real daemon."""

import contextlib
import http.client
import os
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.request
import zlib
from contextlib import ExitStack, closing
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest

from condord.client import resume
from condord.client.http import Daemon
from condord.client.sse import EventParser
from tests.e2e.environs import QUICK
from tests.e2e.running import (
    TIMEOUT_SECONDS,
    Condord,
    Follower,
    Simulated,
    closing_program,
    fetch,
    free_port,
    token_environ,
    until,
)
from tests.needs import lacking

pytestmark = pytest.mark.slow

PAGE = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
PROXIES = ("nginx", "caddy")
NAME = "condord.example.org"
TOKEN = "a-token-behind-a-proxy"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
SOON_SECONDS = 30.0
"""Well below the heartbeat: an event that arrives in this time was not pushed out of a buffer by a later one."""
WHOLE = {
    "nginx": """
daemon off; pid nginx.pid; error_log error.log;
events {{}}
http {{
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi;
    scgi_temp_path scgi; access_log access.log;
    gzip on; gzip_types *; gzip_proxied any; gzip_min_length 1;
    server {{ listen 127.0.0.1:{port}; {snippet} }}
}}
""",
    "caddy": """
{{
    admin off
    auto_https off
}}
:{port} {{
    bind 127.0.0.1
    encode gzip
    {snippet}
}}
""",
}
"""The rest of a configuration, which serves other sites too and compresses everything it can."""
COMMANDS = {
    "nginx": ["nginx", "-p", ".", "-c", "nginx.conf", "-e", "error.log"],
    "caddy": ["caddy", "run", "--config", "caddy.conf", "--adapter", "caddyfile"],
}


def snippet(kind: str) -> str:
    """The snippet for this kind of proxy."""
    (text,) = re.findall(rf"```{kind}(?:file)?\n(.*?)```", PAGE, re.DOTALL)
    return text


@contextlib.contextmanager
def proxied(kind: str, folder: Path, target: str, text: str | None = None):
    """Run a proxy of this kind for the daemon at `target`; yields its URL."""
    if shutil.which(kind) is None:
        lacking(kind)
    port = free_port()
    adapted = (text or snippet(kind)).replace("127.0.0.1:8420", target.removeprefix("http://"))
    (folder / f"{kind}.conf").write_text(WHOLE[kind].format(port=port, snippet=adapted))
    with (folder / "output.txt").open("w") as output:
        process = subprocess.Popen(
            COMMANDS[kind], cwd=folder, stdout=output, stderr=output, env={**os.environ, "HOME": str(folder)}
        )
    try:
        until(lambda: process.poll() is not None or answers(port), f"{kind} listens")
        assert process.poll() is None, (folder / "output.txt").read_text()
        yield f"http://127.0.0.1:{port}/condord"
    finally:
        process.terminate()
        process.wait(TIMEOUT_SECONDS)


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


@contextlib.contextmanager
def pair(folder: Path, *arguments: str, **environ: str):
    """A simulator and a daemon with a token."""
    settings = {**token_environ(folder, TOKEN), "CONDORD_SERVER_ALLOWED_HOSTS": NAME, **QUICK, **environ}
    with (
        closing_program(Simulated()) as simulated,
        closing_program(start(simulated, *arguments, **settings)) as condord,
    ):
        yield SimpleNamespace(simulated=simulated, condord=condord, environ=settings)


def start(simulated, *arguments: str, **environ: str) -> Condord:
    condord = Condord(simulated, *arguments, **environ)
    until(lambda: is_read(condord.get("/api/positions", **BEARER)[1]), "contracts and orders are read")
    return condord


def is_read(document) -> bool:
    legs = [leg for condor in document["condors"] for leg in condor["legs"]] + document["unmatched"]
    is_read = legs and not any(leg["multiplierAssumed"] for leg in legs)
    return is_read and all(condor["openedAt"] for condor in document["condors"])


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """A daemon without events that could push earlier ones out of the buffer of a proxy."""
    with pair(tmp_path_factory.mktemp("quiet"), CONDORD_STREAM_MIN_CHANGE="0") as both:
        both.simulated.post("market", frozen=True)
        yield both


@pytest.fixture(scope="module")
def beating(tmp_path_factory):
    """A quiet daemon that sends a heartbeat twice a second."""
    with pair(tmp_path_factory.mktemp("beating"), CONDORD_SERVER_HEARTBEAT_SECONDS="0.5") as both:
        both.simulated.post("market", frozen=True)
        yield both


@pytest.fixture(scope="module", params=PROXIES)
def scenario(request, quiet, tmp_path_factory):
    """The quiet daemon behind a proxy."""
    folder = tmp_path_factory.mktemp(request.param)
    with proxied(request.param, folder, quiet.condord.url) as url:
        yield SimpleNamespace(**vars(quiet), url=url, folder=folder, kind=request.param)


def follow(url: str, **headers: str) -> Follower:
    base, _, prefix = url.rpartition("/")
    return Follower(base, f"/{prefix}/api/stream", Host=NAME, **BEARER, **headers)


def move(scenario, bid: float) -> None:
    """Publish a new quote for one leg of a condor."""
    leg = scenario.condord.get("/api/positions", **BEARER)[1]["condors"][0]["legs"][0]["symbol"]
    scenario.simulated.post("quotes", quotes=[{"symbol": leg, "bp": bid, "ap": bid + 0.1}])


def test_every_route_is_reachable_below_the_prefix_with_the_token(scenario):
    status, headers, document = fetch(f"{scenario.url}/api/positions", headers={**BEARER, "Host": NAME})
    assert (status, headers["ETag"], len(document["condors"]) > 0) == (200, f'W/"{document["version"]}"', True)
    assert fetch(f"{scenario.url}/api/positions", headers={**BEARER, "If-None-Match": "*"})[0] == 304
    assert fetch(f"{scenario.url}/api/positions/{document['condors'][0]['id']}", headers=BEARER)[0] == 200
    assert fetch(f"{scenario.url}/api/refresh", method="POST", headers=BEARER)[0] == 202
    assert fetch(f"{scenario.url}/api/status", headers={"Host": NAME})[0] == 401
    assert fetch(f"{scenario.url}/api/status?access_token={TOKEN}", headers={"Host": NAME})[0] == 200


def redirected(scenario, path: str):
    """The headers of a redirect."""
    link = http.client.HTTPConnection(
        scenario.url.removeprefix("http://").removesuffix("/condord"), timeout=SOON_SECONDS
    )
    with closing(link):
        link.request("GET", path, headers={"Host": NAME})
        with closing(link.getresponse()) as answer:
            assert answer.status in (301, 302, 303)
            return answer.headers


def test_the_prefix_without_its_slash_redirects_to_the_page(scenario):
    assert urlsplit(redirected(scenario, "/condord")["Location"]).path == "/condord/"


def test_the_page_needs_no_token_and_a_ticket_opens_a_stream_below_the_prefix(scenario):
    status, headers, _ = fetch(f"{scenario.url}/", headers={"Host": NAME})
    assert (status, headers["Set-Cookie"]) == (200, None)
    origin = {"Host": NAME, "Origin": f"http://{NAME}"}
    assert fetch(f"{scenario.url}/api/tickets", method="POST", headers=origin)[0] == 401
    status, _, answer = fetch(f"{scenario.url}/api/tickets", method="POST", headers={**origin, **BEARER})
    assert status == 201
    opened = f"/condord/api/stream?ticket={answer['ticket']}"
    with closing(Follower(scenario.url.removesuffix("/condord"), opened, Host=NAME)) as follower:
        until(lambda: follower.names[:1] == ["snapshot"], "the snapshot", SOON_SECONDS)
    assert fetch(f"{scenario.url}/api/stream?ticket={answer['ticket']}", headers={"Host": NAME})[0] == 401


def test_a_host_that_is_not_allowed_is_also_refused_behind_the_proxy(scenario):
    status, _, problem = fetch(f"{scenario.url}/api/status", headers={**BEARER, "Host": "evil.example.org"})
    assert (status, "server.allowed_hosts" in problem["detail"]) == (421, True)


def test_a_refresh_is_accepted_only_from_a_page_at_an_allowed_name(scenario):
    def refresh(origin: str) -> int:
        return fetch(f"{scenario.url}/api/refresh", method="POST", headers={**BEARER, "Host": NAME, "Origin": origin})[
            0
        ]

    assert (refresh(f"https://{NAME}"), refresh("https://evil.example.org")) == (202, 403)


def test_a_delta_arrives_even_if_nothing_follows_it(scenario):
    with closing(follow(scenario.url)) as follower:
        until(lambda: follower.names[:1] == ["snapshot"], "the snapshot", SOON_SECONDS)
        for bid in (3.1, 3.4, 3.7):
            before = len(follower.events)
            move(scenario, bid)
            until(lambda before=before: "delta" in follower.names[before:], "a delta of its own", SOON_SECONDS)


def test_a_client_resumes_after_its_last_event_id(scenario):
    with closing(follow(scenario.url)) as follower:
        last = until(lambda: follower.last_id, "a snapshot")
    move(scenario, 2.1)
    until(lambda: scenario.condord.get("/api/positions", **BEARER)[1]["version"] != last, "it is published")
    with closing(follow(scenario.url, **{"Last-Event-ID": last})) as follower:
        until(lambda: follower.names, "something", SOON_SECONDS)
        assert follower.names[0] == "delta"


def test_a_stream_is_compressed_once_and_its_deltas_arrive_even_if_nothing_follows(scenario):
    request = urllib.request.Request(
        f"{scenario.url}/api/stream", headers={**BEARER, "Host": NAME, "Accept-Encoding": "gzip"}
    )
    with urllib.request.urlopen(request, timeout=SOON_SECONDS) as answer:
        assert answer.headers.get_all("Content-Encoding") == ["gzip"]
        inflate, parser = zlib.decompressobj(wbits=31), EventParser()

        def next_names() -> list[str]:
            while not (events := list(parser.feed(inflate.decompress(answer.read1(65536))))):
                pass
            return [event.name for event in events]

        assert next_names()[0] == "snapshot"
        move(scenario, 4.2)
        while "delta" not in next_names():
            pass


def test_a_subscriber_that_disconnects_from_the_proxy_is_removed_from_the_daemon(scenario):
    def subscribers() -> int:
        return scenario.condord.get("/api/status", **BEARER)[1]["subscribers"]

    with closing(follow(scenario.url)) as follower:
        until(lambda: follower.names, "a snapshot")
        assert subscribers() >= 1
    until(lambda: subscribers() == 0, "the daemon knows")


def test_the_logs_of_the_proxy_contain_no_token_and_no_ticket(scenario):
    fetch(f"{scenario.url}/api/status?access_token={TOKEN}", headers={"Host": NAME})
    fetch(f"{scenario.url}/api/stream?ticket=a-used-ticket", headers={"Host": NAME})
    time.sleep(0.2)  # nothing signals that a line was not written
    time.sleep(0.2)  # nothing signals that a line was not written
    texts = [path.read_text() for path in scenario.folder.glob("*.*") if path.is_file()]
    assert not [text for text in texts if TOKEN in text or "a-used-ticket" in text]


@pytest.mark.parametrize("kind", PROXIES)
def test_heartbeats_keep_a_quiet_stream_open_beyond_the_timeout_of_the_proxy(kind, beating, tmp_path):
    impatient = re.sub(r"proxy_read_timeout \S+;", "proxy_read_timeout 2s;", snippet(kind))
    with proxied(kind, tmp_path, beating.condord.url, impatient) as url, closing(follow(url)) as follower:
        until(lambda: follower.names.count("heartbeat") > 6, "three seconds of heartbeats")
        assert not follower.ended.is_set()


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("nginx", "proxy_buffering", 'proxy_set_header Authorization "Bearer TOKEN"; proxy_buffering'),
        ("caddy", ":8420\n", ':8420 {\n header_up Authorization "Bearer TOKEN"\n}\n'),
    ],
)
def test_the_proxy_can_add_the_token(kind, before, after, quiet, tmp_path):
    bringing = snippet(kind).replace(before, after.replace("TOKEN", TOKEN))
    with proxied(kind, tmp_path, quiet.condord.url, bringing) as url:
        assert fetch(f"{url}/api/status", headers={"Host": NAME})[0] == 200


@pytest.mark.parametrize("kind", PROXIES)
def test_a_client_reconnects_after_a_restart_behind_the_proxy(kind, tmp_path):
    port = str(free_port())
    with pair(tmp_path, "--port", port) as both, proxied(kind, tmp_path, both.condord.url) as url, ExitStack() as stack:
        names, cuts = [], []
        client = Daemon(url, TOKEN)

        def listen() -> None:
            with contextlib.suppress(Exception):  # it ends with the test
                names.extend(
                    event.name for event in resume.follow(client, on_cut=lambda reason, _seconds: cuts.append(reason))
                )

        threading.Thread(target=listen, daemon=True).start()
        until(lambda: "snapshot" in names, "a snapshot")
        assert both.condord.stop() == 0
        until(lambda: "bye" in names, "bye")
        assert fetch(f"{url}/api/status", headers=BEARER)[0] == 502
        until(lambda: len(cuts) > 1, "it retries")
        seen = names.count("snapshot")
        stack.enter_context(closing_program(start(both.simulated, "--port", port, **both.environ)))
        until(lambda: names.count("snapshot") > seen, "it has reconnected")
