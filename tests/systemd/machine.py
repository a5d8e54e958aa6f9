"""A booted machine with its own systemd (`boot.sh`), and access to it for tests."""

import contextlib
import ctypes
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from condord.cli.demo import Ready
from tests.e2e.running import fetch, until

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
UNITS = ROOT / "systemd"
URL = "http://127.0.0.1:8420"
SIMULATOR = Ready.at("http://127.0.0.1:8421")
KEYS = {"apca-api-key-id": "PKFORTHEBOOTEDMACHINE", "apca-api-secret-key": "secretForTheBootedMachine"}
_CLONE_NEWNET = 0x40000000


class Unbootable(RuntimeError):
    """This machine cannot boot another one; the text contains the reason."""


class Machine:
    """A booted machine. Its files and processes end with it, and it changes nothing outside."""

    def __init__(self) -> None:
        python = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
        if not Path(python).exists():
            raise Unbootable(f"the system has no {python}, which services use")
        self._booter = subprocess.Popen(
            [HERE / "boot.sh", sysconfig.get_path("purelib")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        first = self._booter.stdout.readline()
        if not first:
            raise Unbootable(self._booter.communicate()[1].strip())
        self._first = int(first)
        self._mark = ""

    def path(self, name: str) -> Path:
        """The outer path of a file in the machine."""
        return Path(f"/proc/{self._first}/root{name}")

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        """Write a file in the machine and create its directories."""
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_text(text)
        self.path(name).chmod(mode)

    def run(self, command: str, *, code: int | None = 0, entering: str = "", outer_network: bool = False) -> str:
        """Run `command` in a shell of the machine and return its output; it must exit with `code` (None: any).

        The machine's network is isolated; with `outer_network` the command uses the host's. `entering` is its input.
        """
        ran = self._ran(command, entering, outer_network)
        assert code is None or ran.returncode == code, f"{command}: {ran.returncode}\n{ran.stdout}{self.journal()}"
        return ran.stdout

    def _ran(self, command: str, entering: str = "", outer_network: bool = False) -> subprocess.CompletedProcess[str]:
        network = self._booter.pid if outer_network else self._first
        spaces = ["--mount", "--pid", "--ipc", "--uts", "--cgroup", f"--net=/proc/{network}/ns/net"]
        return subprocess.run(
            ["nsenter", "--target", str(self._first), *spaces, "--", "bash", "-euo", "pipefail", "-c", command],
            input=entering,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def shown(self, what: str, unit: str = "condord") -> str:
        """A property of a unit."""
        return self.run(f"systemctl show --value --property {what} {unit}").strip()

    def drop_in(self, lines: str, unit: str = "condord.service") -> None:
        """Change a unit, as `systemctl edit` does."""
        self.write(f"/etc/systemd/system/{unit}.d/test.conf", lines)
        self.run("systemctl daemon-reload")

    def mark(self) -> None:
        """Start `journal` here."""
        self._mark = self.run("journalctl --quiet --lines 0 --show-cursor").strip().removeprefix("-- cursor: ")

    def journal(self) -> str:
        """The journal since `mark`: condord's own entries, and systemd's about its units."""
        units = "_SYSTEMD_UNIT=condord.service + UNIT=condord.service + UNIT=condord.socket"
        return self._ran(f"journalctl --quiet --output cat --after-cursor '{self._mark}' {units}").stdout

    def await_journal(self, text: str) -> None:
        """Wait until the journal contains `text`."""
        until(lambda: text in self.journal(), lambda: f"the journal contains {text!r}: {self.journal()}")

    @contextlib.contextmanager
    def network(self) -> Iterator[None]:
        """Move this thread, and the threads and programs that it starts, to the machine's network."""
        with Path("/proc/thread-self/ns/net").open() as ours, Path(f"/proc/{self._first}/ns/net").open() as its:
            _enter(its)
            try:
                yield
            finally:
                _enter(ours)

    def close(self) -> None:
        """Shut the machine down."""
        self._booter.communicate()


def status() -> dict:
    """`GET /api/status` of the daemon in the machine."""
    return fetch(f"{URL}/api/status")[2]


def live() -> dict:
    """The first status with a live stream."""
    return until(lambda: (now := status())["state"] == "live" and now, "the stream is live")


def _enter(network: IO[str]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)  # os.setns came with Python 3.12
    if libc.setns(network.fileno(), _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def install(machine: Machine) -> None:
    """Install condord into /opt/condord with the dependencies of this test run, and start the simulator.

    It is copied, as pip takes half a minute; test_operations.py installs it with pip.
    """
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = f"/opt/condord/lib/{python}/site-packages"
    machine.run(f"/usr/bin/{python} -m venv --without-pip /opt/condord")  # the other one may be in a home directory
    shutil.copytree(ROOT / "condord", machine.path(f"{packages}/condord"), ignore=shutil.ignore_patterns("__pycache__"))
    machine.write(f"{packages}/dependencies.pth", "/opt/dependencies\n")
    program = "#!/opt/condord/bin/python\nfrom condord.__main__ import main\n\nmain()\n"
    machine.write("/opt/condord/bin/condord", program, 0o755)
    machine.run(f"/opt/condord/bin/python -m compileall -q {packages}/condord")
    for unit in UNITS.glob("condord*"):
        machine.write(f"/etc/systemd/system/{unit.name}", unit.read_text())
    simulate = "/opt/condord/bin/condord simulate --port 8421"
    machine.write("/etc/systemd/system/simulator.service", f"[Service]\nExecStart={simulate}\n")
    machine.run("systemctl daemon-reload; systemctl start simulator")


def copy_sources(machine: Machine, folder: str) -> None:
    """Copy the part of a clone that is needed to install condord."""
    generated = shutil.ignore_patterns("__pycache__", "node_modules", "dist")
    for name in ("condord", "systemd", "web"):
        shutil.copytree(ROOT / name, machine.path(f"{folder}/{name}"), ignore=generated)
    for name in ("pyproject.toml", "hatch_readme.py", "README.md", "LICENSE", "condord.toml.example"):
        machine.write(f"{folder}/{name}", (ROOT / name).read_text())


def configuration(where: Ready = SIMULATOR, **changed: str) -> str:
    """A condord.toml for an Alpaca at these addresses; `changed` contains lines by section."""
    urls = {name.partition(".")[2]: url for name, url in where.flags().items() if name.endswith("_url")}
    sections = {
        "alpaca": "".join(f'{name} = "{url}"\n' for name, url in urls.items()),
        "stream": "backoff_min_seconds = 0.05\nbackoff_max_seconds = 0.5\n",
    }
    for section, lines in changed.items():
        sections[section] = f"{sections.get(section, '')}{lines}\n"
    return "".join(f"[{section}]\n{lines}" for section, lines in sections.items())
