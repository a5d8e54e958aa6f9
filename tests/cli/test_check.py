import json
import sys
import types

import pytest

import condord.check as package
from condord.check import report
from condord.cli.check import lines
from condord.cli.screen import Screen
from condord.errors import ConfigError
from tests.cli.processes import imports_of

KEYS = {"APCA_API_KEY_ID": "PKENV", "APCA_API_SECRET_KEY": "env-hush"}


@pytest.fixture
def keys(monkeypatch):
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def online(monkeypatch):
    """Replaces `condord.check.probes`, which takes a second to import; `checks` are its results."""
    fake = types.SimpleNamespace(checks=(report.ok("dns", "fine"),), calls=[], slow=())

    def run(found, *, daemon, environ, note):
        fake.calls.append((found, daemon))
        for name in fake.slow:
            note(name)
        return fake.checks

    module = types.SimpleNamespace(run=run)
    monkeypatch.setitem(sys.modules, "condord.check.probes", module)
    monkeypatch.setattr(package, "probes", module, raising=False)
    return fake


def test_without_faults_every_check_is_ok_and_the_exit_code_is_0(condord, keys):
    code, out, err = condord("check")
    assert (code, err) == (0, [])
    assert [line.split()[:2] for line in out.splitlines()] == [["ok", "config-valid"], ["ok", "credentials-found"]]


def test_without_a_key_the_exit_code_is_77_and_a_hint_follows_the_check(condord):
    code, out, err = condord("check")
    assert (code, len(err)) == (77, 2)
    assert err[0] == "condord: 1 check failed: credentials-found"
    assert "APCA_API_KEY_ID" in out.splitlines()[2]


def test_each_fault_is_a_line_and_the_configuration_decides_the_exit_code(condord, tmp_path):
    file = tmp_path / "c.toml"
    file.write_text("[server]\nport = 'x'\nhost = 7\n")
    code, out, _ = condord("check", "--config", str(file))
    assert code == 78
    shown = [line.strip() for line in out.splitlines()]
    assert shown[0].startswith(f"fail  config-valid        {file}:2: server.port = 'x': ")
    assert shown[1].startswith(f"{file}:3: server.host = 7: ")
    assert "fail  credentials-found" in out


@pytest.mark.parametrize("arguments", [("--config", "/none/c.toml"), ()])
def test_text_hint_and_code_are_the_same_as_for_start(condord, monkeypatch, keys, arguments):
    monkeypatch.setenv("CONDORD_LOG_LEVEL", "debug" if arguments else "loud")
    code, _, err = condord("start", *arguments)
    check_code, out, _ = condord("check", "--json", *arguments)
    assert code == check_code == 78
    check = json.loads(out)["checks"][0]
    assert [f"condord: {fault}" for fault in check["text"].split("\n")] == err[:-1]
    assert f"hint: {check['hint']}" == err[-1]


def test_json_is_one_document(condord, keys):
    code, out, _ = condord("check", "--json")
    assert (code, out.count("\n")) == (0, 1)
    document = json.loads(out)
    assert (document["ok"], [check["name"] for check in document["checks"]]) == (True, list(report.NAMES[:2]))


def test_with_online_the_results_of_the_probes_are_shown_and_slow_ones_noted(condord, keys, online):
    online.slow = ("dns",)
    assert condord("check", "--online") == (0, "ok    dns                 fine\n", ["condord: trying dns ..."])
    online.checks = (report.refused("rest-login", "no", "Do."),)
    code, out, err = condord("check", "--online", "--json")
    assert (code, json.loads(out)["ok"], err[-2]) == (77, False, "condord: 1 check failed: rest-login")


def test_the_configured_daemon_is_probed_unless_its_port_is_0(condord, keys, online, monkeypatch):
    monkeypatch.setenv("CONDORD_SERVER_PORT", "9000")
    condord("check", "--online")
    monkeypatch.setenv("CONDORD_SERVER_PORT", "0")
    condord("check", "--online")
    assert [daemon and daemon.address.url for _, daemon in online.calls] == ["http://127.0.0.1:9000", None]


def test_further_faults_and_hints_are_indented_below_without_control_characters():
    results = report.Report(
        checks=(
            report.fail("config-valid", str(ConfigError(["one\x1b[2J", "two"])), "Do."),
            report.ok("data-feed-entitled", "fine"),
        )
    )
    assert lines(results, Screen()) == [
        "fail  config-valid        one [2J",
        "                          two",
        "                          Do.",
        "ok    data-feed-entitled  fine",
    ]
    assert lines(results, Screen(colour=True))[0].startswith("\x1b[31mfail")


@pytest.mark.slow
def test_without_online_neither_the_server_nor_alpaca_is_imported():
    assert imports_of("check") == (77, [])


@pytest.fixture
def relay(monkeypatch):
    """Replaces `condord.check.relay`; `calls` has what it was called with."""
    fake = types.SimpleNamespace(calls=[])

    def run(found, *, daemon, environ, note):
        fake.calls.append((found, daemon))
        note("source")
        return (report.fail("source", "it answers 503", "Look.", 1),)

    module = types.SimpleNamespace(run=run)
    monkeypatch.setitem(sys.modules, "condord.check.relay", module)
    monkeypatch.setattr(package, "relay", module, raising=False)
    monkeypatch.setenv("CONDORD_CLUSTER_ROLE", "relay")
    return fake


def test_a_relay_needs_a_source_and_no_key(condord, relay, monkeypatch):
    assert condord("check").code == 78
    monkeypatch.setenv("CONDORD_CLUSTER_SOURCE", "http://127.0.0.1:1")
    code, out, err = condord("check")
    assert (code, err) == (0, [])
    assert [line.split()[:2] for line in out.splitlines()] == [["ok", "config-valid"]]
    assert relay.calls == []


def test_with_online_a_relay_tries_its_source(condord, relay, monkeypatch):
    monkeypatch.setenv("CONDORD_CLUSTER_SOURCE", "http://127.0.0.1:1")
    code, out, err = condord("check", "--online")
    assert code == 1
    assert out.splitlines()[0].split()[:2] == ["fail", "source"]
    assert err[0] == "condord: trying source ..."
    [(found, daemon)] = relay.calls
    assert found.startup.loaded.config.cluster.source == "http://127.0.0.1:1"
    assert daemon.address.url == "http://127.0.0.1:8420"
