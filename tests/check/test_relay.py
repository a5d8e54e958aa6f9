import socket

import pytest

from condord.check import relay, report
from condord.client.http import Daemon
from condord.config.relay_startup import RelayFindings, RelayStartup
from condord.config.schema import Cluster, Config, Server
from condord.errors import ConfigError
from condord.host.secret import Secret
from tests.check.machine import failed, not_tried, results
from tests.fakes import documents, startup
from tests.fakes.daemon import json, problem, serving, unread

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _restored_logger():
    with startup.restored_root_logger():
        yield


@pytest.fixture
def source():
    with serving() as fake:
        yield fake


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def check(url, *, own=None, token=None, error=None, environ=None):
    """The checks of a relay of `url` by name; `own` is a fake daemon at its own address."""
    port = int(own.url.rpartition(":")[2]) if own else free_port()
    config = Config(server=Server(port=port), cluster=Cluster(role="relay", source=url))
    found = RelayFindings(
        startup=RelayStartup(loaded=startup.loaded(config), source_token=token, token=None), config_error=error
    )
    notes = []
    daemon = Daemon(f"http://127.0.0.1:{port}")
    checks = relay.run(found, daemon=daemon, environ=environ or {}, note=notes.append)
    assert tuple(each.name for each in checks) == report.RELAY_NAMES
    return {each.name: each for each in checks}


def test_a_source_that_answers_is_ok_and_gets_the_token(source):
    checks = check(source.url, token=Secret("source-token-1234"))
    assert results(checks, "config-valid", "source", "port-free") == ["ok", "ok", "ok"]
    assert checks["daemon-answers"].result == "warn"
    assert "process 4711, simulator, feed indicative, live" in checks["source"].text
    assert source.requests[0][1]["Authorization"] == "Bearer source-token-1234"


def test_with_faults_of_the_configuration_no_other_check_is_tried(source):
    checks = check(source.url, error=ConfigError(["one"]))
    assert failed(checks) == ["config-valid"]
    assert len(not_tried(checks, "config-valid failed")) == 3
    assert source.requests == []


def test_a_refused_token_counts_like_a_missing_one(source):
    source.answers["/api/status"] = problem(401, "no")
    found = check(source.url)["source"]
    assert (found.result, found.exit_code) == ("fail", 77)
    assert "requires a token" in found.text
    assert "cluster.source_token_file" in found.hint


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (problem(503, "later"), "answers 503"),
        ((404, {"Content-Type": "text/html"}, b"<p>"), "answers 404 and is not a condord; check "),
        ((200, {"Content-Type": "text/html"}, b"<p>"), "answers with text/html and is not a condord; check "),
        ((200, {"Content-Type": "application/json"}, b"{}"), "cannot be understood"),
    ],
)
def test_a_source_that_is_not_a_condord_fails(source, answer, text):
    source.answers["/api/status"] = answer
    found = check(source.url)["source"]
    assert found.result == "fail"
    assert text in found.text


def test_a_source_that_is_not_ready_fails_with_the_reason_that_it_gives(source):
    source.answers["/api/status"] = unread(
        "this relay has read nothing from http://a in 3 s: it answers 404", code=None
    )
    found = check(source.url)["source"]
    assert found.result == "fail"
    assert found.text.endswith("it answers 503: this relay has read nothing from http://a in 3 s: it answers 404")
    assert found.hint.startswith("A relay waits for it. If it lasts, check the source itself")
    source.answers["/api/status"] = (503, {"Content-Type": "application/problem+json"}, b"{")
    found = check(source.url)["source"]
    assert found.text.endswith(": it answers 503")


def test_a_source_that_cannot_be_reached_fails_with_the_reason():
    found = check(f"http://127.0.0.1:{free_port()}")["source"]
    assert found.result == "fail"
    assert "it cannot be reached" in found.text


def test_certificates_that_cannot_be_read_fail_like_the_configuration(source):
    found = check(source.url.replace("http:", "https:"), environ={"SSL_CERT_FILE": "/nonexistent"})["source"]
    assert (found.result, found.exit_code) == ("fail", 78)
    assert "SSL_CERT_FILE" in found.text


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"version": "99.0"}, "condord 99.0"),
        ({"state": "halted", "reason": "the key is refused"}, "halted: the key is refused"),
        ({"state": "starting"}, "starting"),
    ],
)
def test_another_version_and_a_source_that_is_not_live_are_warnings(source, changes, text):
    source.answers["/api/status"] = json(documents.report(**changes))
    found = check(source.url)["source"]
    assert found.result == "warn"
    assert text in found.text


def test_for_a_relay_of_a_bus_the_bus_is_checked_instead_of_a_source(monkeypatch):
    config = Config(server=Server(port=free_port()), cluster=Cluster(role="relay", bus="nats://127.0.0.1:1"))
    monkeypatch.setattr("condord.check.bus.CONNECT_SECONDS", 0.5)
    found = RelayFindings(
        startup=RelayStartup(loaded=startup.loaded(config), source_token=None, token=None), config_error=None
    )
    checks = relay.run(found, daemon=None, environ={}, note=lambda name: None)
    assert tuple(each.name for each in checks) == report.BUS_RELAY_NAMES
    assert [each.result for each in checks] == ["ok", "fail", "ok", "warn"]
    assert "nats://127.0.0.1:1" in checks[1].text


def cluster(**changes):
    return {"role": "relay", "source": "http://127.0.0.1:1", "lagMs": 1, "gaps": 0, "dropped": 0} | changes


def test_a_relay_of_a_relay_is_ok(source):
    source.answers["/api/status"] = json(documents.report(cluster=cluster()))
    assert "a relay, live" in check(source.url)["source"].text


@pytest.mark.parametrize(
    ("changes", "result"),
    [({}, "ok"), ({"source": "http://other"}, "warn"), ({"code": "sourceLost", "reason": "gone"}, "warn")],
)
def test_our_relay_answers_at_its_address_and_another_source_is_a_warning(source, changes, result):
    with serving() as own:
        follows = cluster(source=changes.pop("source", source.url))
        own.answers["/api/status"] = json(documents.report(cluster=follows, **changes))
        checks = check(source.url, own=own)
    assert results(checks, "port-free", "daemon-answers") == ["ok", result]


def named(answer, *relays):
    """The answer with the header of a relay."""
    status, headers, body = answer
    return status, headers | {"Condord-Relays": ", ".join(relays)}, body


NOTHING_READ = unread(source="http://own")


@pytest.mark.parametrize("has_read", [True, False])
@pytest.mark.parametrize(
    ("path", "text", "hint"),
    [
        (("b", "own"), "it follows the relay of this configuration", "Let one of these relays follow the condord"),
        (("b", "c", "own"), "it follows the relay of this configuration", "Let one of these relays follow the condord"),
        (("own", "b"), "the relay of this configuration itself answers there", "Name the address of the condord"),
    ],
)
def test_a_source_that_follows_this_relay_fails_before_a_restart_makes_a_loop(source, path, text, hint, has_read):
    of_relay = json(documents.report(cluster=cluster(source="http://own")))
    source.answers["/api/status"] = named(of_relay if has_read else NOTHING_READ, *path)
    with serving() as own:
        own.answers["/api/status"] = named(json(documents.report(cluster=cluster(source="http://other"))), "own", "x")
        checks = check(source.url, own=own)
    assert failed(checks) == ["source"]
    assert text in checks["source"].text
    assert checks["source"].hint.startswith(hint)
    assert checks["daemon-answers"].hint.endswith("Correct cluster.source before it restarts.")


def test_a_source_that_follows_other_relays_than_this_one_is_no_loop(source):
    source.answers["/api/status"] = named(json(documents.report(cluster=cluster())), "b", "c")
    with serving() as own:
        own.answers["/api/status"] = named(json(documents.report(cluster=cluster(source="http://other"))), "own", "b")
        checks = check(source.url, own=own)
        assert checks["source"].result == "ok"
        assert checks["daemon-answers"].hint.endswith("Restart it.")
        own.answers["/api/status"] = json(documents.report())  # no relay, so it has no name
        assert check(source.url, own=own)["source"].result == "ok"
    assert check(source.url)["source"].result == "ok"  # nothing answers at its own address


@pytest.mark.parametrize(
    ("code", "hint"),
    [("sourceLost", "If it lasts, check that the source runs and can be reached."), (None, "")],
)
def test_a_relay_that_has_read_nothing_yet_holds_its_own_address_with_a_warning(source, code, hint):
    with serving() as own:
        own.answers["/api/status"] = unread(code=code, source=source.url)
        checks = check(source.url, own=own)
    assert results(checks, "port-free", "daemon-answers") == ["ok", "warn"]
    assert checks["port-free"].text == "it is held by a relay, process 4711, which has read nothing yet"
    assert checks["daemon-answers"].text == (
        "condord 0.2.0, process 4711, this relay has read nothing from http://a in 12 s: it is gone"
    )
    assert checks["daemon-answers"].hint == hint


def test_an_ingester_that_has_read_nothing_yet_is_not_taken_for_a_relay(source):
    with serving() as own:
        own.answers["/api/status"] = unread(role="standby", source=None)
        found = check(source.url, own=own)["port-free"]
    assert (found.result, found.text) == ("fail", "it is held by a condord that is not a relay: process 4711")


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("busLost", "If it lasts, check that the NATS servers run and can be reached."),
        ("leaderLost", "If it lasts, see the logs of the ingesters: one of them has to reach the bus and to lead."),
    ],
)
@pytest.mark.parametrize("has_read", [True, False])
def test_the_hint_for_a_relay_of_a_bus_names_no_source(monkeypatch, code, hint, has_read):
    monkeypatch.setattr("condord.check.bus.CONNECT_SECONDS", 0.1)
    with serving() as own:
        report = documents.report(cluster=cluster(source=None), state="reconnecting", code=code, reason="gone")
        own.answers["/api/status"] = json(report) if has_read else unread(code=code, source=None)
        port = int(own.url.rpartition(":")[2])
        config = Config(server=Server(port=port), cluster=Cluster(role="relay", bus="nats://127.0.0.1:1"))
        found = RelayFindings(
            startup=RelayStartup(loaded=startup.loaded(config), source_token=None, token=None), config_error=None
        )
        checks = relay.run(found, daemon=Daemon(own.url), environ={}, note=lambda name: None)
    *_, port_free, answers = checks
    assert (port_free.result, answers.result, answers.hint) == ("ok", "warn", hint)


@pytest.mark.parametrize(
    ("answer", "result", "text"),
    [
        (json(documents.report()), "fail", "a condord that is not a relay"),
        (problem(503, "later"), "fail", "in use"),
        (problem(401, "no"), "warn", "requires a token"),
    ],
)
def test_an_address_used_by_another_program_is_reported(source, answer, result, text):
    with serving() as own:
        own.answers["/api/status"] = answer
        found = check(source.url, own=own)["port-free"]
    assert found.result == result
    assert text in found.text


def test_without_a_known_address_of_a_relay_a_used_port_fails(source):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = Config(server=Server(port=listener.getsockname()[1]), cluster=Cluster(role="relay", source=source.url))
        found = RelayFindings(
            startup=RelayStartup(loaded=startup.loaded(config), source_token=None, token=None), config_error=None
        )
        checks = relay.run(found, daemon=None, environ={}, note=lambda _name: None)
    assert [each.name for each in checks if each.result == "fail"] == ["port-free"]
