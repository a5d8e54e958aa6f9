"""Relays that would follow themselves, or each other."""

from contextlib import ExitStack

import pytest

from condord.client.failures import NothingRead
from condord.client.http import Daemon
from tests.cluster.processes.running import QUICK_RELAY, Relay
from tests.e2e.running import Program, closing_program, free_port, token_environ, until

pytestmark = pytest.mark.slow

RELAY_TOKEN, SOURCE_TOKEN = "token-of-the-relay-12", "token-of-the-source-1"


@pytest.mark.parametrize("case", ["another name", "workers", "unix socket", "token of another"])
def test_a_relay_that_would_follow_itself_ends_with_78(case, tmp_path):
    port, uds = free_port(), tmp_path / "relay.sock"
    environ, place, source = {**QUICK_RELAY}, ("--port", str(port)), f"http://localhost:{port}"
    match case:
        case "workers":
            environ["CONDORD_SERVER_WORKERS"] = "2"
        case "unix socket":
            place, source = ("--uds", str(uds)), f"unix://{uds}"
        case "token of another":
            environ |= {**token_environ(tmp_path, RELAY_TOKEN), "CONDORD_TOKEN": SOURCE_TOKEN}
    with closing_program(Program("relay", "--source", source, *place, environ=environ)) as relay:
        assert relay.wait() == 78
        text = "".join(relay.stderr)
    assert f"cluster.source = {source}: this relay itself answers there" in text
    assert "Name the address of the condord that the relay should follow" in text
    assert "Traceback" not in text


def test_relays_that_follow_each_other_report_it_and_go_on(tmp_path):
    sockets = [tmp_path / f"{number}.sock" for number in range(3)]
    with ExitStack() as stack:
        relays = [
            stack.enter_context(closing_program(Relay(f"unix://{sockets[number - 1]}", "--uds", str(sockets[number]))))
            for number in range(3)
        ]

        def details():
            return [detail(relay.url) for relay in relays]

        until(
            lambda: all("it follows this relay" in text and "as cluster.source" in text for text in details()),
            lambda: f"the reason: {details()}",
        )
        assert [relay.stop() for relay in relays] == [0] * 3


def detail(url):
    with pytest.raises(NothingRead) as caught:
        Daemon(url).status()
    return caught.value.problem.detail
