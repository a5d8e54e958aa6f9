"""`condord check` before a real Alpaca of ours, beside a real daemon, and against what `condord start` says."""

import contextlib
import json
import os
import socket
import subprocess
import sys

import pytest

from tests.e2e.conftest import QUICK
from tests.e2e.running import KEYS, Condord, Program, closing_program

pytestmark = pytest.mark.slow

PICKY = """
from condord import simulator
simulator.run(credentials=("OTHER", "other"), on_ready=lambda base: print(base, flush=True))
"""


def urls_of(simulated):
    names = {"tradingUrl": "TRADING_URL", "dataUrl": "DATA_URL"}
    names |= {"optionStreamUrl": "OPTION_STREAM_URL", "tradingStreamUrl": "TRADING_STREAM_URL"}
    return {f"CONDORD_ALPACA_{names[name]}": url for name, url in simulated.urls.items()}


def check(*arguments, **environ):
    """Exit code, the checks by name, and stderr."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("APCA_", "CONDORD_"))}
    done = subprocess.run(
        [sys.executable, "-m", "condord", "check", "--json", *arguments],
        env={**clean, "HOME": "/nonexistent", **environ},
        capture_output=True,
        text=True,
        timeout=60,
    )
    told = json.loads(done.stdout)["checks"]
    return done.returncode, {each["name"]: each for each in told}, done.stderr.splitlines()


def failed(told):
    return [name for name, each in told.items() if each["result"] == "fail"]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return str(taken.getsockname()[1])


def test_before_a_daemon_starts_all_is_well(simulated):
    code, told, err = check("--online", **KEYS, **urls_of(simulated), CONDORD_SERVER_PORT=free_port())
    assert (code, failed(told)) == (0, [])
    assert told["option-stream"]["result"] == told["slot-free"]["result"] == "ok"
    assert all("secret" not in line for line in err)
    streams = simulated.state()["streams"]
    assert streams["option"]["open"] == streams["trading"]["open"] == []


def test_beside_a_daemon_its_stream_and_its_port_are_left_alone(simulated):
    port = free_port()
    with closing_program(Condord(simulated, "--port", port, **QUICK)) as condord:
        condord.await_state("live")
        code, told, _ = check("--online", **KEYS, **urls_of(simulated), CONDORD_SERVER_PORT=port)
        assert (code, failed(told)) == (0, [])
        for name in ("slot-free", "port-free", "daemon-answers"):
            assert told[name]["result"] == "ok"
            assert f"process {condord.process.pid}" in told[name]["text"]
        assert told["option-stream"]["text"].startswith("not tried: ")
        assert condord.status()["reconnects"] == 0
        assert simulated.state()["streams"]["option"]["accepted"] == 1


def test_a_port_that_a_stranger_has_is_1(simulated):
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
        code, told, _ = check("--online", **KEYS, **urls_of(simulated), CONDORD_SERVER_PORT=port)
    assert (code, failed(told)) == (1, ["port-free"])


def test_a_key_that_alpaca_refuses_is_77():
    picky = subprocess.Popen([sys.executable, "-c", PICKY], stdout=subprocess.PIPE, text=True)
    try:
        base = picky.stdout.readline().strip()
        rest = {"CONDORD_ALPACA_TRADING_URL": base, "CONDORD_ALPACA_DATA_URL": base}
        ws = {f"CONDORD_ALPACA_{name}_STREAM_URL": base.replace("http", "ws") for name in ("OPTION", "TRADING")}
        code, told, err = check("--online", **KEYS, **rest, **ws, CONDORD_SERVER_PORT="0")
    finally:
        picky.terminate()
        picky.communicate(timeout=10)
    assert (code, failed(told)) == (77, ["rest-login"])
    assert err[0] == "condord: 1 check failed: rest-login"


@pytest.mark.parametrize("what", ["value", "token", "key open to others", "no key", "half a key", "no file"])
def test_whatever_makes_start_refuse_fails_with_its_text_and_its_code(tmp_path, what):
    def write(name, text, mode=0o600):
        path = tmp_path / name
        path.write_text(text)
        path.chmod(mode)
        return path

    key, shut = write("open", "PKFILE\n", 0o644), write("shut", "secret-in-file\n")
    files = {"CONDORD_ALPACA_KEY_ID_FILE": str(key), "CONDORD_ALPACA_SECRET_KEY_FILE": str(shut)}
    environ = {
        "value": {**KEYS, "CONDORD_SERVER_PORT": "x", "CONDORD_LOG_LEVEL": "loud"},
        "token": {**KEYS, "CONDORD_SERVER_TOKEN_FILE": str(key)},
        "key open to others": files,
        "no key": {},
        "half a key": {"APCA_API_KEY_ID": "PK"},
        "no file": {**KEYS, "CONDORD_CONFIG": str(tmp_path / "none.toml")},
    }[what]
    with closing_program(Program("start", environ=environ)) as program:
        code = program.wait()
    check_code, told, _ = check(**environ)
    (name,) = failed(told)
    assert (check_code, name) == (code, "config-valid" if code == 78 else "credentials-found")
    texts = [f"condord: {text}\n" for text in told[name]["text"].split("\n")]
    assert program.stderr == [*texts, f"hint: {told[name]['hint']}\n"]
