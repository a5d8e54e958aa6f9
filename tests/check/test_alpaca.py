import asyncio
import contextlib
import itertools
import os
import socket

import pytest

from condord.cluster.bus_frames import STATE_BUCKET
from condord.cluster.kv import KvBucket
from condord.cluster.lease import Lease
from condord.cluster.maker_channel import StateCopy
from condord.cluster.state_copies import StateCopies
from condord.config.schema import Cluster
from condord.simulator.contracts import stable_uuid
from condord.simulator.server import serve
from condord.upstream import state_files
from tests.check.machine import AFTER_LOGIN, failed, free_port, locked, not_tried, results
from tests.cluster.nats_server import nats_server, running
from tests.fakes import documents

__all__ = ["nats_server"]

pytestmark = pytest.mark.slow

SIMULATED = f"{stable_uuid('account', '1')} simulator"
"""The account of the simulator, as its daemon knows it."""


def test_an_account_without_positions_is_ok(machine):
    checks = machine.check(scenario="empty")
    assert failed(checks) == []
    assert checks["rest-login"].text.endswith("0 option positions read")
    assert "nothing is held" in checks["option-stream"].text


@pytest.mark.parametrize(
    ("fault", "options", "name", "hint"),
    [
        ("clock-skew", {"skew_seconds": 300.0}, "clock-skew", "timedatectl set-ntp true"),
        ("rest-500", {}, "rest-login", "status page"),
        ("upgrade-502", {}, "option-stream", "status page"),
    ],
)
def test_a_failure_has_a_hint_even_if_it_may_pass_by_itself(machine, fault, options, name, hint):
    assert hint in machine.check(fault, **options)[name].hint


def test_a_check_leaves_no_lock_behind(machine, tmp_path):
    machine.check()
    assert list(tmp_path.glob("*.lock")) == []


def test_a_wrong_key_is_refused_with_77_and_the_streams_are_not_tried_with_it(machine):
    checks = machine.check(credentials=("other", "other"))
    assert failed(checks) == ["rest-login"]
    assert checks["rest-login"].exit_code == 77
    assert "alpaca.paper" in checks["rest-login"].hint
    assert not_tried(checks, "rest-login failed") == AFTER_LOGIN


def test_an_outage_of_rest_fails_the_login_with_1(machine):
    checks = machine.check("rest-500")
    assert failed(checks) == ["rest-login"]
    assert checks["rest-login"].exit_code == 1


def test_a_feed_that_the_plan_lacks_fails_with_the_remedy(machine):
    machine.alpaca["feed"] = "opra"
    checks = machine.check()
    assert failed(checks) == ["data-feed-entitled"]
    assert "indicative" in checks["data-feed-entitled"].hint


@pytest.mark.parametrize(
    ("fault", "code", "name", "exit_code"),
    [
        ("auth-402", {}, "option-stream", 77),
        ("insufficient-409", {}, "option-stream", 1),
        ("upgrade-502", {}, "option-stream", 1),
        ("auth-402", {"stream": "stock"}, "stock-stream", 77),
        ("insufficient-409", {"stream": "stock"}, "stock-stream", 1),
        ("connection-406", {"stream": "stock"}, "stock-stream", 1),
        ("mute-after-upgrade", {"stream": "stock"}, "stock-stream", 1),
        ("auth-402", {"stream": "trading"}, "trading-stream", 77),
        ("upgrade-403", {"stream": "trading"}, "trading-stream", 1),
    ],
)
def test_only_the_check_of_a_refused_stream_fails(machine, fault, code, name, exit_code):
    checks = machine.check(fault, **code)
    assert failed(checks) == [name]
    assert checks[name].exit_code == exit_code
    assert not_tried(checks, "option-stream failed") == (["slot-free"] if name == "option-stream" else [])


def test_a_feed_of_stocks_that_the_plan_lacks_fails_with_the_remedy(machine):
    machine.alpaca["stock_feed"] = "sip"
    checks = machine.check()
    assert failed(checks) == ["stock-feed-entitled"]
    assert 'alpaca.stock_feed = "iex"' in checks["stock-feed-entitled"].hint


@pytest.mark.parametrize("fault", ["limit-405", "ack-lacks-symbol"])
def test_a_stock_that_is_not_acknowledged_is_a_warning(machine, fault):
    checks = machine.check(fault, stream="stock")
    assert failed(checks) == []
    assert checks["stock-stream"].result == "warn"
    assert "alpaca.stock_symbol_limit" in checks["stock-stream"].hint


def test_a_slot_of_the_stock_stream_used_elsewhere_leaves_the_option_stream_alone(machine):
    checks = machine.check("connection-406", stream="stock")
    assert failed(checks) == ["stock-stream"]
    assert "one stock stream" in checks["stock-stream"].text
    assert results(checks, "option-stream", "slot-free") == ["ok", "ok"]


def test_a_slot_used_elsewhere_fails_slot_free_and_not_the_stream(machine):
    checks = machine.check("connection-406")
    assert failed(checks) == ["slot-free"]
    assert "another connection" in checks["slot-free"].text
    assert "Stop the other program" in checks["slot-free"].hint
    assert "your own condord, started elsewhere" in checks["slot-free"].hint
    assert not_tried(checks, "slot-free failed") == ["option-stream"]


@pytest.mark.parametrize("fault", ["limit-405", "ack-lacks-symbol"])
def test_a_symbol_that_is_not_acknowledged_is_a_warning(machine, fault):
    checks = machine.check(fault)
    assert failed(checks) == []
    assert checks["option-stream"].result == "warn"


@pytest.mark.parametrize(("seconds", "result"), [(1.0, "ok"), (10.0, "warn"), (-10.0, "warn"), (300.0, "fail")])
def test_the_result_of_the_clock_depends_on_how_far_it_is_off(machine, seconds, result):
    check = machine.check("clock-skew", skew_seconds=seconds)["clock-skew"]
    assert check.result == result
    assert ("behind" if seconds > 0 else "ahead of") in check.text


def test_a_clock_that_cannot_be_read_fails(machine):
    assert failed(machine.check("rest-html", path="/v2/clock")) == ["clock-skew"]


def test_an_unreachable_host_fails_the_login_and_no_check_of_this_machine(machine):
    machine.alpaca["trading_url"] = "http://127.0.0.1:9"
    checks = machine.check()
    assert failed(checks) == ["rest-login"]
    assert checks["rest-login"].exit_code == 1
    assert "network" in checks["rest-login"].hint
    assert checks["port-free"].result == "ok"


def test_a_name_that_cannot_be_looked_up_fails_dns_and_its_dependents_are_not_tried(machine):
    machine.alpaca["data_url"] = "https://a..b"
    checks = machine.check()
    assert failed(checks) == ["dns"]
    assert not_tried(checks, "dns failed") == ["clock-skew", "tls", "rest-login", *AFTER_LOGIN[1:]]


def test_a_host_that_does_not_speak_tls_fails_the_tls_check(machine):
    async def main():
        async with serve() as alpaca:
            machine.alpaca["data_url"] = alpaca.url.replace("http", "https")
            machine.use(alpaca)
            return await machine.run()

    assert failed(asyncio.run(main())) == ["tls"]


def test_an_invalid_url_fails_the_network(machine):
    machine.alpaca["data_url"] = "https://[1]"
    assert failed(machine.check()) == ["network"]


def test_the_network_check_names_the_proxy_and_the_certificates(machine, tmp_path):
    machine.alpaca["data_url"] = "https://data.example"
    machine.environ |= {"HTTPS_PROXY": "user:hunter2@127.0.0.1:9", "NO_PROXY": "10.0.0.0/8"}
    checks = machine.check()
    assert "through 127.0.0.1:9 (HTTPS_PROXY): data.example" in checks["network"].text
    assert "without a proxy: 127.0.0.1" in checks["network"].text
    assert not any("hunter2" in check.text + check.hint for check in checks.values())
    assert checks["network"].result == "ok"
    assert failed(checks) == ["data-feed-entitled", "stock-feed-entitled"]


def test_unreadable_certificates_and_an_invalid_proxy_fail_the_network_check_like_a_start(machine, tmp_path):
    machine.alpaca["data_url"] = "https://data.example"
    machine.environ |= {"SSL_CERT_FILE": str(tmp_path / "none"), "ALL_PROXY": "ftp://p:1"}
    checks = machine.check()
    assert failed(checks) == ["network"]
    assert checks["network"].exit_code == 78
    assert len(checks["network"].text.splitlines()) == 2
    assert {"SSL_CERT_FILE", "ALL_PROXY"} == {line.split()[1] for line in checks["network"].text.splitlines()}


@pytest.mark.parametrize("is_answered", [False, True], ids=["no condord answers", "another condord answers"])
def test_a_stream_locked_by_another_process_fails_slot_free_and_is_not_tried(machine, is_answered):
    machine.alpaca["option_stream_url"] = "ws://127.0.0.1:9/x"
    with (
        locked(machine),
        machine.running_daemon(pid=1, source="simulator") if is_answered else contextlib.nullcontext(),
    ):
        checks = machine.check()
    assert failed(checks) == (["slot-free", "port-free"] if is_answered else ["slot-free"])
    assert checks["option-stream"].result == "warn"
    assert f"process {os.getpid()}" in checks["slot-free"].text
    assert "`condord start` would exit with 69" in checks["slot-free"].text
    for name in ("option-stream", "stock-stream"):
        assert checks[name].text == f"not tried: {checks['slot-free'].text}"


@pytest.mark.parametrize(
    ("host", "is_locked", "result"),
    [(socket.gethostname(), True, "ok"), ("elsewhere", False, "ok"), ("elsewhere", True, "fail")],
    ids=["leads here", "leads elsewhere", "a daemon here would block a leader"],
)
def test_an_elected_leader_may_use_the_stream(machine, nats_server, host, is_locked, result):
    machine.alpaca["option_stream_url"] = "ws://127.0.0.1:9/x"
    server = nats_server()
    machine.cluster = Cluster(role="ingest", bus=server.url, account="desk")

    async def lead():
        bus = server.bus()
        async with running(bus):
            lease = Lease(bus, "desk", seconds=60.0, nonce="n", now=itertools.count(0, 100).__next__)
            assert await lease.acquire(f"{host}:4711")

    asyncio.run(lead())
    with locked(machine) if is_locked else contextlib.nullcontext():
        checks = machine.check()
    assert checks["slot-free"].result == result
    assert ("`condord start` would stand by" in checks["slot-free"].text) == (result == "ok")
    for name in ("option-stream", "stock-stream"):
        assert checks[name].text == f"not tried: {checks['slot-free'].text}"


def test_while_the_bus_does_not_answer_no_second_stream_is_tried(machine):
    machine.alpaca["option_stream_url"] = "ws://127.0.0.1:9/x"
    machine.cluster = Cluster(role="ingest", bus=f"nats://127.0.0.1:{free_port()}", account="desk")
    checks = machine.check()
    assert failed(checks) == ["bus"]
    text = "the bus does not answer, so it is not known whether another ingester has it"
    assert (checks["slot-free"].result, checks["slot-free"].text) == ("warn", text)
    for name in ("option-stream", "stock-stream"):
        assert checks[name].text == f"not tried: {text}"


@pytest.mark.parametrize(
    ("has_bus", "result", "text", "hint"),
    [
        (True, "ok", "would stand by", ""),
        (False, "fail", "would exit with 69", "Start this one as an ingester, too: set cluster.role"),
    ],
    ids=["of its cluster", "without a bus"],
)
def test_the_daemon_of_an_ingester_on_this_machine_is_not_to_be_stopped_by_itself(
    machine, nats_server, has_bus, result, text, hint
):
    machine.alpaca["option_stream_url"] = "ws://127.0.0.1:9/x"
    if has_bus:
        machine.cluster = Cluster(role="ingest", bus=nats_server().url, account="desk")
    with locked(machine, lease_digest="d"):
        found = machine.check()["slot-free"]
    assert (found.result, text in found.text, found.hint.startswith(hint)) == (result, True, True)
    assert found.text.startswith(f"the ingester on this machine (process {os.getppid()}) has it")
    assert "kill" not in found.hint
    assert ("stop all ingesters of this one: after the end of one, another takes over" in found.hint) != has_bus


def test_while_the_bus_does_not_answer_the_daemon_of_an_ingester_here_may_have_lost_the_stream(machine):
    machine.alpaca["option_stream_url"] = "ws://127.0.0.1:9/x"
    machine.cluster = Cluster(role="ingest", bus=f"nats://127.0.0.1:{free_port()}", account="desk")
    with locked(machine, lease_digest="d"):
        found = machine.check()["slot-free"]
    assert (found.result, "not known whether another ingester has it" in found.text) == ("warn", True)


@pytest.mark.parametrize(("account_key", "result"), [("another simulator", "fail"), (SIMULATED, "ok")])
def test_a_key_of_an_account_other_than_the_one_on_the_bus_fails_the_login(machine, nats_server, account_key, result):
    server = nats_server()
    machine.cluster = Cluster(role="ingest", bus=server.url, account="desk")

    async def keep():
        bus = server.bus()
        async with running(bus):
            name = f"{state_files.hash_of(account_key)}-{state_files.EXTREMES}.json"
            copy = StateCopy(kind=state_files.EXTREMES, name=name, content=b"")
            await StateCopies(KvBucket(bus, STATE_BUCKET), "desk", 1).write(copy)

    asyncio.run(keep())
    found = machine.check()["rest-login"]
    assert found.result == result
    if result == "fail":
        assert (found.exit_code, "for another account" in found.text) == (78, True)


@pytest.mark.parametrize("is_locked", [True, False], ids=["lock found", "lock elsewhere"])
def test_the_daemon_of_this_configuration_may_use_the_stream_and_the_port(machine, is_locked):
    machine.alpaca["option_stream_url"] = "ws://127.0.0.1:9/x"
    with (
        locked(machine) if is_locked else contextlib.nullcontext(),
        machine.running_daemon(source="simulator", pid=os.getpid()),
    ):
        checks = machine.check()
    assert failed(checks) == []
    assert results(checks, "slot-free", "port-free", "daemon-answers") == ["ok", "ok", "ok"]
    assert checks["option-stream"].text.startswith("not tried: condord, process")
    assert checks["stock-stream"].result == "ok"
    assert "streams 1 stocks" in checks["stock-stream"].text
    assert str(os.getpid()) in checks["daemon-answers"].text


@pytest.mark.parametrize(("code", "result"), [("connectionLimit", "fail"), ("unreachable", "warn")])
def test_the_result_for_a_daemon_without_its_stream_depends_on_the_reason(machine, code, result):
    stream = documents.report()["stream"] | {"connected": False}
    with machine.running_daemon(
        source="simulator", state="reconnecting", code=code, reason="why it is so", stream=stream
    ):
        checks = machine.check()
    assert checks["slot-free"].result == result
    assert "why it is so" in checks["slot-free"].text
    assert checks["daemon-answers"].text.endswith("reconnecting: why it is so")


def test_a_daemon_without_its_stock_stream_is_a_warning_with_the_reason(machine):
    stocks = documents.stocks(state="reconnecting", code="unreachable", reason="why it is so", stream=[])
    with machine.running_daemon(source="simulator", stocks=stocks):
        check = machine.check()["stock-stream"]
    assert check.result == "warn"
    assert check.text.endswith("is not connected: why it is so")


def test_a_lock_without_a_pid_may_belong_to_the_daemon_that_answers(machine, tmp_path):
    machine.alpaca["option_stream_url"] = "ws://127.0.0.1:9/x"
    with locked(machine), machine.running_daemon(source="simulator"):
        for path in tmp_path.glob("*.lock"):
            path.write_text("")
        checks = machine.check()
    assert failed(checks) == []
    assert checks["slot-free"].result == "ok"
