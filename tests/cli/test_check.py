import json
import subprocess
import sys
import types

import pytest

import condord as package
from condord import checks
from condord.cli.check import lines
from condord.cli.screen import Screen
from condord.errors import ConfigError

KEYS = {"APCA_API_KEY_ID": "PKENV", "APCA_API_SECRET_KEY": "env-hush"}


@pytest.fixture
def keys(monkeypatch):
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def online(monkeypatch):
    """Stands where `condord.probes` does, which costs a second to import; `checks` is what it tells."""
    fake = types.SimpleNamespace(checks=(checks.ok("dns", "fine"),), asked=[], slow=())

    def run(found, *, daemon, environ, note):
        fake.asked.append((found, daemon))
        for name in fake.slow:
            note(name)
        return fake.checks

    module = types.SimpleNamespace(run=run)
    monkeypatch.setitem(sys.modules, "condord.probes", module)
    monkeypatch.setattr(package, "probes", module, raising=False)
    return fake


def test_without_faults_it_says_so_and_exits_with_0(condord, keys):
    code, out, err = condord("check")
    assert (code, err) == (0, [])
    assert [line.split()[:2] for line in out.splitlines()] == [["ok", "config-valid"], ["ok", "credentials-found"]]


def test_without_a_key_it_is_77_and_the_hint_stands_below(condord):
    code, out, err = condord("check")
    assert (code, len(err)) == (77, 2)
    assert err[0] == "condord: 1 check failed: credentials-found"
    assert "APCA_API_KEY_ID" in out.splitlines()[2]


def test_every_fault_has_its_line_and_the_configuration_gives_the_code(condord, tmp_path):
    file = tmp_path / "c.toml"
    file.write_text("[server]\nport = x\nhost = 7\n")
    code, out, _ = condord("check", "--config", str(file))
    assert code == 78
    told = [line.strip() for line in out.splitlines()]
    assert told[0].startswith(f"fail  config-valid        {file}:2: broken TOML")
    assert told[1].startswith(f"{file}:3: server.host = 7: ")
    assert "fail  credentials-found" in out


@pytest.mark.parametrize("arguments", [("--config", "/none/c.toml"), ()])
def test_the_text_and_the_code_are_those_with_which_start_would_end(condord, monkeypatch, keys, arguments):
    monkeypatch.setenv("CONDORD_LOG_LEVEL", "debug" if arguments else "loud")
    code, _, told = condord("start", *arguments)
    check_code, out, _ = condord("check", "--json", *arguments)
    assert code == check_code == 78
    check = json.loads(out)["checks"][0]
    assert [f"condord: {fault}" for fault in check["text"].split("\n")] == told[:-1]
    assert f"hint: {check['hint']}" == told[-1]


def test_json_is_one_document(condord, keys):
    code, out, _ = condord("check", "--json")
    assert (code, out.count("\n")) == (0, 1)
    document = json.loads(out)
    assert (document["ok"], [check["name"] for check in document["checks"]]) == (True, list(checks.NAMES[:2]))


def test_online_tells_what_the_probes_found_and_what_is_slow(condord, keys, online):
    online.slow = ("dns",)
    assert condord("check", "--online") == (0, "ok    dns                 fine\n", ["condord: trying dns ..."])
    online.checks = (checks.refused("rest-login", "no", "Do."),)
    code, out, err = condord("check", "--online", "--json")
    assert (code, json.loads(out)["ok"], err[-2]) == (77, False, "condord: 1 check failed: rest-login")


def test_the_daemon_is_looked_for_where_the_configuration_says(condord, keys, online, monkeypatch):
    monkeypatch.setenv("CONDORD_SERVER_PORT", "9000")
    condord("check", "--online")
    monkeypatch.setenv("CONDORD_SERVER_PORT", "0")
    condord("check", "--online")
    assert [daemon and daemon.address.url for _, daemon in online.asked] == ["http://127.0.0.1:9000", None]


def test_faults_and_hints_stand_below_under_the_text_and_without_control_characters():
    report = checks.Report(
        checks=(
            checks.fail("config-valid", str(ConfigError(["one\x1b[2J", "two"])), "Do."),
            checks.ok("data-feed-entitled", "fine"),
        )
    )
    assert lines(report, Screen()) == [
        "fail  config-valid        one [2J",
        "                          two",
        "                          Do.",
        "ok    data-feed-entitled  fine",
    ]
    assert lines(report, Screen(colour=True))[0].startswith("\x1b[31mfail")


@pytest.mark.slow
def test_offline_it_imports_neither_the_server_nor_alpaca():
    code = """
import sys
from condord.cli.main import run
run(["check"])
print(*(name for name in ("alpaca", "pandas", "starlette", "uvicorn", "websockets", "asyncio") if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert done.stdout.splitlines()[-1] == ""
