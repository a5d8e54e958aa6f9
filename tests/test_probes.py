import asyncio
import contextlib
import logging
import os
import socket

import msgspec
import pytest

import tests.upstream.conftest  # noqa: F401 - imports alpaca-py without its warning

# isort: split
from condord import checks, lock, probes, settings
from condord.client import Daemon
from condord.config import Alpaca, Config, Loaded, Server
from condord.credentials import Credentials, Secret
from condord.errors import ConfigError, CredentialsMissing
from condord.loading import Found
from condord.simulator.server import serve
from tests.fakes import documents
from tests.fakes.daemon import json as answer
from tests.fakes.daemon import problem, serving

pytestmark = pytest.mark.slow

KEY, SECRET = "KEYFORTESTS", "secret-for-tests"


@pytest.fixture(autouse=True)
def no_proxy_and_the_logging_as_it_was(monkeypatch):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


class World:
    """What is looked at, and where; `daemon` is the URL at which one would answer."""

    def __init__(self, place):
        self.environ = {"RUNTIME_DIRECTORY": str(place)}
        self.alpaca = {}
        self.server = {"port": free_port()}
        self.found = {}
        self.daemon = None
        self.notes = []

    def config(self):
        return Config(alpaca=Alpaca(**self.alpaca), server=Server(**self.server))

    def of(self, alpaca):
        """Look at a simulator from now on."""
        self.alpaca = {
            "trading_url": alpaca.url,
            "data_url": alpaca.url,
            "option_stream_url": alpaca.option_stream_url,
            "trading_stream_url": alpaca.trading_stream_url,
        } | self.alpaca

    async def look(self):
        """All results by name."""
        key = Credentials(key_id=Secret(KEY), secret_key=Secret(SECRET), origin="here")
        loaded = Loaded(config=self.config(), path=None, origins={})
        given = {"loaded": loaded, "key": key, "token": None, "config_error": None, "key_error": None}
        daemon = Daemon(self.daemon or f"http://127.0.0.1:{self.server['port']}", timeout_seconds=1.0)
        told = await probes.Probes(
            Found(**given | self.found), daemon=daemon, environ=self.environ, note=self.notes.append
        ).run()
        assert [check.name for check in told] == list(checks.NAMES)
        return {check.name: check for check in told}

    def check(self, fault=None, credentials=None, scenario="default", **given):
        """All results before a simulator in which something goes wrong."""

        async def whole():
            async with serve(credentials=credentials, scenario=scenario) as alpaca:
                self.of(alpaca)
                if fault is not None:
                    alpaca.strike(fault, **given)
                told = await self.look()
                await asyncio.sleep(0.05)
                state = alpaca.streams.state()
                assert (state["option"]["open"], state["trading"]["open"]) == ([], [])
                assert all(check.hint for check in told.values() if check.result == "fail")
                return told

        return asyncio.run(whole())

    @contextlib.contextmanager
    def a_daemon(self, **report):
        """A condord that answers at the configured address."""
        with serving() as daemon:
            daemon.answers["/api/status"] = answer(documents.report(**report))
            self.daemon, self.server["port"] = daemon.url, int(daemon.url.rpartition(":")[2])
            yield daemon


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def results(told, *names):
    return [told[name].result for name in names]


def failed(told):
    return [name for name, check in told.items() if check.result == "fail"]


def not_tried(told, why):
    return [name for name, check in told.items() if check.text == f"not tried: {why}"]


AFTER_LOGIN = ["clock-skew", "data-feed-entitled", "option-stream", "trading-stream", "slot-free"]


def test_before_a_good_alpaca_everything_is_ok_but_a_daemon_that_does_not_run(world):
    told = world.check()
    assert {name for name, check in told.items() if check.result != "ok"} == {"daemon-answers"}
    assert told["daemon-answers"].result == "warn"
    assert "simulator" in told["rest-login"].text
    assert world.notes == []


def test_an_account_that_holds_nothing_is_well_too(world):
    told = world.check(scenario="empty")
    assert failed(told) == []
    assert told["rest-login"].text.endswith("0 option positions read")
    assert "nothing is held" in told["option-stream"].text


@pytest.mark.parametrize(
    ("fault", "given", "name", "hint"),
    [
        ("clock-skew", {"skew_seconds": 300.0}, "clock-skew", "timedatectl set-ntp true"),
        ("rest-500", {}, "rest-login", "status page"),
        ("upgrade-502", {}, "option-stream", "status page"),
    ],
)
def test_what_fails_says_what_to_do_also_where_it_may_heal_by_itself(world, fault, given, name, hint):
    assert hint in world.check(fault, **given)[name].hint


def test_nothing_is_left_locked(world, tmp_path):
    world.check()
    assert list(tmp_path.glob("*.lock")) == []


def test_a_wrong_key_is_refused_with_77_and_the_streams_are_not_tried_with_it(world):
    told = world.check(credentials=("other", "other"))
    assert failed(told) == ["rest-login"]
    assert told["rest-login"].exit_code == 77
    assert "alpaca.paper" in told["rest-login"].hint
    assert not_tried(told, "rest-login failed") == AFTER_LOGIN


def test_an_outage_of_rest_fails_the_login_with_1(world):
    told = world.check("rest-500")
    assert failed(told) == ["rest-login"]
    assert told["rest-login"].exit_code == 1


def test_a_feed_that_the_plan_lacks_fails_with_the_remedy(world):
    world.alpaca["feed"] = "opra"
    told = world.check()
    assert failed(told) == ["data-feed-entitled"]
    assert "indicative" in told["data-feed-entitled"].hint


@pytest.mark.parametrize(
    ("fault", "code", "name", "exit_code"),
    [
        ("auth-402", {}, "option-stream", 77),
        ("insufficient-409", {}, "option-stream", 1),
        ("upgrade-502", {}, "option-stream", 1),
        ("auth-402", {"stream": "trading"}, "trading-stream", 77),
        ("upgrade-403", {"stream": "trading"}, "trading-stream", 1),
    ],
)
def test_a_stream_that_is_refused_fails_alone(world, fault, code, name, exit_code):
    told = world.check(fault, **code)
    assert failed(told) == [name]
    assert told[name].exit_code == exit_code
    assert not_tried(told, "option-stream failed") == (["slot-free"] if name == "option-stream" else [])


def test_a_slot_that_somebody_else_has_fails_slot_free_and_not_the_stream(world):
    told = world.check("connection-406")
    assert failed(told) == ["slot-free"]
    assert "another connection" in told["slot-free"].text
    assert "Stop the other program" in told["slot-free"].hint
    assert "your own condord, started elsewhere" in told["slot-free"].hint
    assert not_tried(told, "slot-free failed") == ["option-stream"]


@pytest.mark.parametrize("fault", ["limit-405", "ack-lacks-symbol"])
def test_a_symbol_that_is_not_acknowledged_is_a_warning(world, fault):
    told = world.check(fault)
    assert failed(told) == []
    assert told["option-stream"].result == "warn"


@pytest.mark.parametrize(("seconds", "result"), [(1.0, "ok"), (10.0, "warn"), (-10.0, "warn"), (300.0, "fail")])
def test_a_clock_is_judged_by_how_far_it_is_off(world, seconds, result):
    check = world.check("clock-skew", skew_seconds=seconds)["clock-skew"]
    assert check.result == result
    assert ("behind" if seconds > 0 else "ahead of") in check.text


def test_a_clock_that_cannot_be_read_fails(world):
    assert failed(world.check("rest-html", path="/v2/clock")) == ["clock-skew"]


def test_a_host_that_is_not_there_fails_the_login_and_nothing_of_this_machine(world):
    world.alpaca["trading_url"] = "http://127.0.0.1:9"
    told = world.check()
    assert failed(told) == ["rest-login"]
    assert told["rest-login"].exit_code == 1
    assert "network" in told["rest-login"].hint
    assert told["port-free"].result == "ok"


@pytest.mark.parametrize("url", ["https://a..b", "https://[1]"])
def test_a_name_that_cannot_be_looked_up_fails_dns_and_whatever_needs_it(world, url):
    world.alpaca["data_url"] = url
    told = world.check()
    assert failed(told) == ["dns"]
    assert not_tried(told, "dns failed") == [
        "clock-skew", "tls", "rest-login", "data-feed-entitled", "option-stream", "trading-stream", "slot-free",
    ]  # fmt: skip


def test_where_no_tls_is_spoken_the_tls_check_fails(world):
    async def whole():
        async with serve() as alpaca:
            world.alpaca["data_url"] = alpaca.url.replace("http", "https")
            world.of(alpaca)
            return await world.look()

    assert failed(asyncio.run(whole())) == ["tls"]


def test_a_key_that_would_go_over_the_network_as_it_is_is_a_warning(world, monkeypatch):
    monkeypatch.setattr(probes.configuration, "is_loopback", lambda _: False)
    assert world.check()["tls"].result == "warn"


def test_what_takes_long_is_noted_and_what_takes_too_long_fails(world, monkeypatch):
    monkeypatch.setattr(probes, "CHECK_SECONDS", 0.4)
    monkeypatch.setattr(probes, "NOTE_SECONDS", 0.1)
    told = world.check("rest-stall")
    assert failed(told) == ["rest-login"]
    assert told["rest-login"].text == "no answer within 0.4 s"
    assert "rest-login" in world.notes


def test_faults_of_the_configuration_leave_nothing_to_be_tried(world):
    world.found = {"key": None, "is_key_unknown": True, "config_error": ConfigError(["one"])}
    told = asyncio.run(world.look())
    assert failed(told) == ["config-valid"]
    assert len(not_tried(told, "config-valid failed")) == len(checks.NAMES) - 2


def test_without_a_key_the_network_and_this_machine_are_looked_at_all_the_same(world):
    world.found = {"key": None, "key_error": CredentialsMissing()}
    told = world.check()
    assert failed(told) == ["credentials-found"]
    assert not_tried(told, "credentials-found failed") == sorted([*AFTER_LOGIN, "rest-login"], key=checks.NAMES.index)
    assert results(told, "dns", "tls", "port-free") == ["ok", "ok", "ok"]


def held(world, key_id=KEY):
    """Have the stream to ourselves, as a daemon of this machine."""
    locks = lock.Locks(lock.directory(world.environ))
    locks.take(key_id=key_id, stream_url=settings.supervisor(world.config()).option_stream_url)
    return locks


@pytest.mark.parametrize("is_answered", [False, True], ids=["nobody answers", "another condord answers"])
def test_a_stream_that_another_process_of_this_machine_has_fails_its_slot_and_is_not_tried(world, is_answered):
    world.alpaca["option_stream_url"] = "ws://127.0.0.1:9/x"
    with held(world), world.a_daemon(pid=1, source="simulator") if is_answered else contextlib.nullcontext():
        told = world.check()
    assert failed(told) == (["slot-free", "port-free"] if is_answered else ["slot-free"])
    assert told["option-stream"].result == "warn"
    assert f"process {os.getpid()}" in told["slot-free"].text
    assert "`condord start` would end with 69" in told["slot-free"].text
    assert told["option-stream"].text == f"not tried: {told['slot-free'].text}"


@pytest.mark.parametrize("is_locked", [True, False], ids=["its lock is seen", "its lock is elsewhere"])
def test_the_daemon_of_this_configuration_may_have_the_stream_and_the_port(world, is_locked):
    world.alpaca["option_stream_url"] = "ws://127.0.0.1:9/x"
    with held(world) if is_locked else contextlib.nullcontext(), world.a_daemon(source="simulator", pid=os.getpid()):
        told = world.check()
    assert failed(told) == []
    assert results(told, "slot-free", "port-free", "daemon-answers") == ["ok", "ok", "ok"]
    assert told["option-stream"].text.startswith("not tried: condord, process")
    assert str(os.getpid()) in told["daemon-answers"].text


@pytest.mark.parametrize(("code", "result"), [("connectionLimit", "fail"), ("unreachable", "warn")])
def test_a_daemon_without_its_stream_is_judged_by_its_reason(world, code, result):
    stream = documents.report()["stream"] | {"connected": False}
    with world.a_daemon(source="simulator", state="reconnecting", code=code, reason="why it is so", stream=stream):
        told = world.check()
    assert told["slot-free"].result == result
    assert "why it is so" in told["slot-free"].text
    assert told["daemon-answers"].text.endswith("reconnecting: why it is so")


def test_a_daemon_of_another_source_has_the_port_and_not_the_stream_which_is_tried(world):
    with world.a_daemon(source="alpaca-live"):
        told = world.check()
    assert failed(told) == ["port-free"]
    assert told["port-free"].exit_code == 1
    assert "held by a condord of another account" in told["port-free"].text
    assert results(told, "option-stream", "slot-free") == ["ok", "ok"]


def test_a_daemon_whose_lock_is_on_another_key_has_the_port_and_not_the_stream_which_is_tried(world):
    world.alpaca["option_stream_url"] = ""
    with held(world, "OTHERKEY"), world.a_daemon(pid=os.getpid(), source="simulator"):
        world.alpaca.clear()
        told = world.check()
    assert failed(told) == ["port-free"]
    assert results(told, "option-stream", "slot-free") == ["ok", "ok"]


def test_a_daemon_of_our_key_on_another_feed_has_the_stream_and_is_a_warning(world, monkeypatch):
    monkeypatch.setattr(settings.addresses, "option_stream", lambda feed: f"ws://127.0.0.1:9/{feed}")
    world.alpaca |= {"option_stream_url": "", "feed": "opra"}
    with held(world):
        world.alpaca["feed"] = "indicative"
        with world.a_daemon(pid=os.getpid(), source="simulator", feed="opra"):
            told = world.check()
    assert failed(told) == []
    assert told["slot-free"].result == "ok"
    assert "follows the feed opra" in told["daemon-answers"].text
    assert "SIGHUP" in told["daemon-answers"].hint


def test_a_lock_that_names_nobody_may_be_that_of_the_daemon_that_answers(world, tmp_path):
    world.alpaca["option_stream_url"] = "ws://127.0.0.1:9/x"
    with held(world), world.a_daemon(source="simulator"):
        for path in tmp_path.glob("*.lock"):
            path.write_text("")
        told = world.check()
    assert failed(told) == []
    assert told["slot-free"].result == "ok"


def test_without_a_key_a_condord_of_our_kind_has_the_port(world):
    world.found = {"key": None, "key_error": CredentialsMissing()}
    with world.a_daemon(source="simulator"):
        told = world.check()
    assert failed(told) == ["credentials-found"]
    assert results(told, "port-free", "daemon-answers") == ["ok", "ok"]


def test_a_port_that_a_stranger_has_fails(world):
    with socket.create_server(("127.0.0.1", world.server["port"])):
        told = world.check()
    assert failed(told) == ["port-free"]
    assert "in use" in told["port-free"].text
    assert not_tried(told, "port-free failed") == ["daemon-answers"]


def test_a_daemon_that_refuses_our_token_fails_as_one_that_does_not_answer(world):
    with world.a_daemon() as daemon:
        daemon.answers["/api/status"] = problem(401, "no")
        told = world.check()
    assert results(told, "port-free", "daemon-answers") == ["warn", "fail"]
    assert "token" in told["daemon-answers"].hint


def test_a_unix_socket_is_tried_and_leaves_no_file(world, tmp_path):
    world.server["uds"] = str(tmp_path / "socket")
    assert str(tmp_path / "socket") in world.check()["port-free"].text
    assert not (tmp_path / "socket").exists()


def test_where_nobody_knows_the_address_a_taken_one_fails(world):
    with socket.create_server(("127.0.0.1", world.server["port"])):
        found = Found(
            loaded=Loaded(config=world.config(), path=None, origins={}),
            key=None,
            token=Secret("token"),
            config_error=None,
            key_error=CredentialsMissing(),
        )
        alpaca = msgspec.structs.replace(found.loaded.config.alpaca, trading_url="https://[1]")
        config = msgspec.structs.replace(found.loaded.config, alpaca=alpaca)
        found = msgspec.structs.replace(found, loaded=msgspec.structs.replace(found.loaded, config=config))
        told = probes.run(found, daemon=None, environ=world.environ, note=world.notes.append)
    assert [check.name for check in told if check.result == "fail"] == ["credentials-found", "dns", "port-free"]
