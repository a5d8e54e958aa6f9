"""`condord check` against the simulator, beside a running daemon, and compared with `condord start`."""

import contextlib
import json
import os
import socket
import subprocess
import sys

import pytest

from tests.e2e.environs import QUICK
from tests.e2e.preloaded import Preloaded
from tests.e2e.running import KEYS, Condord, Starting, closing_program, free_port

pytestmark = pytest.mark.slow

PICKY = """
from condord import simulator
simulator.run(credentials=("OTHER", "other"), on_ready=lambda base: print(base, flush=True))
"""


def urls_of(simulated):
    names = {"tradingUrl": "TRADING_URL", "dataUrl": "DATA_URL"}
    names |= {f"{stream}StreamUrl": f"{stream.upper()}_STREAM_URL" for stream in ("option", "stock", "trading")}
    return {f"CONDORD_ALPACA_{names[name]}": url for name, url in simulated.urls.items()}


def check(*arguments, **environ):
    """Exit code, the checks by name, and stderr."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("APCA_", "CONDORD_"))}
    program = Preloaded(["check", "--json", *arguments], {**clean, "HOME": "/nonexistent", **environ})
    with program.stdout, program.stderr:
        code = program.wait(120)
        checks = json.loads(program.stdout.read())["checks"]
        return code, {entry["name"]: entry for entry in checks}, program.stderr.read().splitlines()


def failed(checks):
    return [name for name, entry in checks.items() if entry["result"] == "fail"]


def test_every_check_passes_before_a_daemon_starts(simulated):
    code, checks, err = check("--online", **KEYS, **urls_of(simulated), CONDORD_SERVER_PORT=str(free_port()))
    assert (code, failed(checks)) == (0, [])
    assert checks["option-stream"]["result"] == checks["slot-free"]["result"] == "ok"
    assert all("secret" not in line for line in err)
    streams = simulated.state()["streams"]
    assert {name: (stream["accepted"], stream["open"]) for name, stream in streams.items()} == {
        name: (1, []) for name in ("option", "stock", "trading")
    }


def test_a_running_daemon_keeps_its_stream_and_its_port(simulated):
    port = str(free_port())
    with closing_program(Condord(simulated, "--port", port, **QUICK)) as condord:
        condord.await_state("live")
        code, checks, _ = check("--online", **KEYS, **urls_of(simulated), CONDORD_SERVER_PORT=port)
        assert (code, failed(checks)) == (0, [])
        for name in ("slot-free", "port-free", "daemon-answers"):
            assert checks[name]["result"] == "ok"
            assert f"process {condord.process.pid}" in checks[name]["text"]
        assert checks["option-stream"]["text"].startswith("not tried: ")
        assert f"process {condord.process.pid}, uses it" in checks["stock-stream"]["text"]
        assert condord.status()["reconnects"] == 0
        assert [simulated.state()["streams"][name]["accepted"] for name in ("option", "stock")] == [1, 1]


def test_a_port_taken_by_another_program_exits_with_1(simulated):
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = str(taken.getsockname()[1])
        code, checks, _ = check("--online", **KEYS, **urls_of(simulated), CONDORD_SERVER_PORT=port)
    assert (code, failed(checks)) == (1, ["port-free"])
    text = checks["port-free"]["text"]
    assert f"in use by process {os.getpid()}; http://127.0.0.1:{port} did not answer within " in text


def test_a_key_that_alpaca_refuses_exits_with_77():
    picky = subprocess.Popen([sys.executable, "-c", PICKY], stdout=subprocess.PIPE, text=True)
    try:
        base = picky.stdout.readline().strip()
        rest = {"CONDORD_ALPACA_TRADING_URL": base, "CONDORD_ALPACA_DATA_URL": base}
        ws = {f"CONDORD_ALPACA_{name}_STREAM_URL": base.replace("http", "ws") for name in ("OPTION", "TRADING")}
        code, checks, err = check("--online", **KEYS, **rest, **ws, CONDORD_SERVER_PORT="0")
    finally:
        picky.terminate()
        picky.communicate(timeout=60)
    assert (code, failed(checks)) == (77, ["rest-login"])
    assert err[0] == "condord: 1 check failed: rest-login"


@pytest.mark.parametrize("what", ["value", "token", "key open to others", "no key", "half a key", "no file"])
def test_check_fails_with_the_same_text_and_code_as_start(tmp_path, what):
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
    with closing_program(Starting("start", environ=environ)) as program:
        code = program.wait()
    check_code, checks, _ = check(**environ)
    (name,) = failed(checks)
    assert (check_code, name) == (code, "config-valid" if code == 78 else "credentials-found")
    texts = [f"condord: {text}\n" for text in checks[name]["text"].split("\n")]
    assert program.stderr == [*texts, f"hint: {checks[name]['hint']}\n"]
