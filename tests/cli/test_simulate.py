import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from condord import simulator
from condord.cli import demo
from condord.cli.simulate import SCENARIO_NAMES
from condord.client.http import Daemon
from tests.e2e.running import until

GUIDE = Path(__file__).parents[2] / "docs/guide.md"


@pytest.fixture
def started(monkeypatch):
    """The options that the simulator was started with; it is ready at once and then ends."""
    calls = []

    def run(*, on_ready, **options):
        calls.append(options)
        on_ready("http://127.0.0.1:4000")

    monkeypatch.setattr(simulator, "run", run)
    return calls


def test_options_are_passed_to_the_simulator(condord, started):
    assert condord("simulate", "--port", "0", "--scenario", "busy", "--seed", "7").code == 0
    assert started == [{"host": "127.0.0.1", "port": 0, "scenario": "busy", "seed": 7}]


def test_json_contains_the_addresses(condord, started):
    code, out, err = condord("simulate", "--json")
    assert (code, err) == (0, [])
    assert json.loads(out) == {
        "tradingUrl": "http://127.0.0.1:4000",
        "dataUrl": "http://127.0.0.1:4000",
        "optionStreamUrl": "ws://127.0.0.1:4000/v1beta1/indicative",
        "tradingStreamUrl": "ws://127.0.0.1:4000/stream",
        "stockStreamUrl": "ws://127.0.0.1:4000/v2/iex",
    }


def test_with_until_eof_the_simulator_removes_its_state_directory_if_it_ends_by_itself(condord, started, monkeypatch):
    ends = []
    monkeypatch.setattr(demo, "end_at_eof", ends.append)
    answer = json.loads(condord("simulate", "--json", "--until-eof").out)
    assert ends == [answer["stateDirectory"]]
    assert Path(answer["stateDirectory"]).name.startswith("condord-demo-")
    assert not Path(answer["stateDirectory"]).exists()


def test_a_state_directory_in_use_stays_until_the_end_of_stdin(condord, monkeypatch):
    def run(*, on_ready, **_):
        on_ready("http://127.0.0.1:4000")
        Path(directories[0], "history.sqlite3").touch()

    directories = []
    monkeypatch.setattr(simulator, "run", run)
    monkeypatch.setattr(demo, "end_at_eof", directories.append)
    assert condord("simulate", "--json", "--until-eof").code == 0
    assert Path(directories[0], "history.sqlite3").exists()
    demo.remove(directories[0])
    assert not Path(directories[0]).exists()


def test_without_json_shell_commands_for_a_daemon_are_printed(condord, started):
    first, *exports = condord("simulate").out.splitlines()
    assert "http://127.0.0.1:4000" in first
    assert "export CONDORD_ALPACA_OPTION_STREAM_URL=ws://127.0.0.1:4000/v1beta1/indicative" in exports
    assert {"export APCA_API_KEY_ID=DEMOKEYID", "export APCA_API_SECRET_KEY=made-up-for-the-demo"} < {*exports}
    assert len(exports) == 7


def test_ctrl_c_ends_the_simulator_with_0(condord, monkeypatch):
    def interrupted(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr(simulator, "run", interrupted)
    assert condord("simulate") == (0, "", [])


def test_an_unknown_scenario_is_a_usage_error_that_names_the_known_ones(condord):
    code, out, err = condord("simulate", "--port", "0", "--scenario", "defalt")
    assert (code, out, len(err)) == (2, "", 2)
    assert "the nearest is default" in err[0]
    assert "busy" in err[0]


@pytest.mark.parametrize("port", ["-1", "65536", "x"])
def test_an_invalid_port_is_a_usage_error(condord, port):
    assert condord("simulate", "--port", port).code == 2


def test_the_help_names_every_scenario():
    assert [known.name for known in simulator.SCENARIOS] == [*SCENARIO_NAMES]


@pytest.mark.slow
def test_the_line_of_the_guide_shows_an_expiration_afternoon_until_ctrl_c(tmp_path):
    [line] = re.findall(r"^    (\(d=.*)$", GUIDE.read_text(), re.MULTILINE)
    line = line.replace("condord simulate", "condord simulate --port 0").replace(
        "condord start", "condord start --port 0"
    )
    environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "TMPDIR": str(tmp_path)}
    shell = subprocess.Popen(
        ["bash", "-c", f"{line}; echo over >&2"], stderr=subprocess.PIPE, text=True, env=environ, start_new_session=True
    )
    try:
        address = next(found[1] for text in shell.stderr if (found := re.search(r"serves at (\S+)", text)))
        daemon = Daemon(address, timeout_seconds=60)
        # 15:00 in New York, once the clock has been read.
        until(lambda: json.loads(daemon.positions())["asOf"][11:14] in ("20:", "19:"), "the simulator's clock")
        os.killpg(shell.pid, signal.SIGINT)  # as a terminal does
        assert shell.communicate(timeout=60)[1].splitlines()[-1] == "over"  # stderr ends with the simulator
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)
