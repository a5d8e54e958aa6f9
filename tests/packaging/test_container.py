"""The container of docs/operations.md: process 1, a read-only root, a user without name and home, no capabilities.

Docker is not needed: `container.sh` builds a container from this machine's files. Installing with pip is tested
elsewhere.
"""

import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.environs import QUICK
from tests.e2e.running import KEYS, fetch, until
from tests.needs import lacking

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()
CONTAINERS = "containers as root"
PYTHON = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
PROGRAM = 'import sys; sys.path += ["/opt/source", "/opt/packages"]; from condord.__main__ import main; main()'
RECIPE = re.search(r"```dockerfile\n(.*?)```", PAGE, re.DOTALL)[1]
USER = re.search(r"^USER (\d+)$", RECIPE, re.MULTILINE)[1]
ENTRYPOINT = json.loads(re.search(r"^ENTRYPOINT (.+)$", RECIPE, re.MULTILINE)[1])


class Container:
    """A running container; `lines` are those of its stderr."""

    def __init__(self, command, environ):
        script = [Path(__file__).parent / "container.sh", sysconfig.get_path("purelib"), ROOT, USER]
        variables = [f"{name}={value}" for name, value in environ.items()]
        self.process = subprocess.Popen(
            [*script, "env", *variables, *command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        self.lines = []
        self._reader = threading.Thread(target=lambda: self.lines.extend(iter(self.process.stderr.readline, "")))
        self._reader.start()

    @property
    def first(self) -> int:
        """The outer id of its process 1: the last in the chain of child processes."""
        pid = self.process.pid
        while not is_first(pid):
            pid = int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])
        return pid

    def await_line(self, pattern):
        def check():
            found = [match for line in list(self.lines) if (match := re.search(pattern, line))]
            assert found or self.process.poll() is None, "".join(self.lines)
            return found

        return until(check, lambda: f"stderr contains {pattern}: {self.lines}")[0]

    def wait(self) -> int:
        code = self.process.wait(120)
        self._reader.join(60)
        return code

    def close(self):
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(120)
        self._reader.join(60)
        self.process.stdout.close()
        self.process.stderr.close()


def status(pid):
    return dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())


def is_first(pid):
    return status(pid)["NSpid"].split()[-1] == "1"


@pytest.fixture(scope="module")
def can_run_containers():
    """Skip the test if this machine cannot run containers, or fail it if CONDORD_CONTAINER=required."""
    if not Path(PYTHON).exists():
        lacking(CONTAINERS, f"there is no {PYTHON} of the system")
    with closing(Container([PYTHON, "--version"], {})) as container:
        if container.wait() != 0:
            lacking(CONTAINERS, "".join(container.lines).strip())


@contextmanager
def closing(container):
    try:
        yield container
    finally:
        container.close()


def started(*arguments, **environ):
    """A container as in the docs."""
    assert ENTRYPOINT[0] == "condord"
    return closing(Container([PYTHON, "-P", "-c", PROGRAM, *ENTRYPOINT[1:], *arguments], environ))


def ran(*arguments, **environ):
    """Exit code, stdout and stderr of a command in such a container."""
    with closing(Container([PYTHON, "-P", "-c", PROGRAM, *arguments], environ)) as container:
        out = container.process.stdout.read()
        return container.wait(), out, container.lines


def warnings(lines):
    """The codes of the warnings that are not outages."""
    return sorted(re.search(r" code=(\w+)", line)[1] for line in lines if " warning " in line)


def test_the_demo_serves_warns_about_missing_directories_and_stops_as_process_1(can_run_containers):
    with started("--demo", "--port", "0") as container:
        url = container.await_line(r"serves at (\S+)")[1]
        until(lambda: fetch(url + "/api/positions")[2]["totals"]["unrealizedPl"] is not None, "every condor is priced")
        assert fetch(url + "/api/status")[2]["pid"] == 1
        begin = time.monotonic()
        os.kill(container.first, signal.SIGTERM)
        assert container.wait() == 0
        assert time.monotonic() - begin < 20
        assert warnings(container.lines) == ["configuration", "noLock"], "a demo keeps no state"
        assert "Traceback" not in "".join(container.lines)


def test_as_process_1_the_demo_leaves_no_zombie_of_its_child(can_run_containers):
    with started("--demo", "--port", "0") as container:
        container.await_line("serves at")
        first = container.first
        child = int(Path(f"/proc/{first}/task/{first}/children").read_text())
        os.kill(child, signal.SIGKILL)
        container.await_line("the simulator has ended")
        assert not Path(f"/proc/{child}").exists()
        os.kill(first, signal.SIGINT)
        assert container.wait() == 0


def test_an_account_is_served_and_client_commands_find_the_daemon(can_run_containers, simulated):
    urls = {f"CONDORD_ALPACA_{name}_URL": simulated.url for name in ("TRADING", "DATA")}
    urls["CONDORD_ALPACA_OPTION_STREAM_URL"] = simulated.urls["optionStreamUrl"]
    urls["CONDORD_ALPACA_TRADING_STREAM_URL"] = simulated.urls["tradingStreamUrl"]
    patient = {**QUICK, "CONDORD_STREAM_SILENCE_SECONDS": "60"}
    with started("--port", "0", **KEYS, **urls, **patient) as container:
        url = container.await_line(r"serves at (\S+)")[1]
        until(lambda: fetch(url + "/api/status")[2]["state"] == "live", "it is live")
        for command, code in (("positions", 0), ("status", 0), ("check", 0), ("config show", 0)):
            words = command.split()
            assert ran(*words, CONDORD_URL=url, **KEYS)[0] == code, command
        os.kill(container.first, signal.SIGTERM)
        assert container.wait() == 0
        assert set(warnings(container.lines)) == {"configuration", "noLock"}


def test_the_other_commands_also_work_without_a_home(can_run_containers):
    code, out, _ = ran("config", "path")
    assert (code, out.splitlines()[0].split()[0]) == (0, "unknown")
    code, out, err = ran("config", "init")
    assert (code, out, len(err)) == (1, "", 2)
    assert "condord config init PATH" in err[1]
    code, out, err = ran("check")
    assert code == 77
    assert "there is no home directory" in out
    code, _, err = ran("positions")
    assert (code, len(err)) == (69, 2)
    code, out, _ = ran("--version")
    assert (code, out[:8]) == (0, "condord ")


def test_variables_of_a_kubernetes_service_stop_the_start_with_an_explanation(can_run_containers):
    link = {"CONDORD_SERVER_SERVICE_HOST": "10.0.0.1", "CONDORD_SERVER_PORT": "tcp://10.0.0.1:8420"}
    with started(**KEYS, **link) as container:
        assert container.wait() == 78
        assert "enableServiceLinks" in container.lines[-1]
