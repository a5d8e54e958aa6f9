"""A machine with a systemd of its own (`boot.sh`), and how a test moves about in it."""

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
    """There can be no such machine here; the text says why."""


class Machine:
    """A booted machine. Nothing in it outlives it, and nothing outside is changed by it."""

    def __init__(self) -> None:
        python = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
        if not Path(python).exists():
            raise Unbootable(f"there is no {python} of the system, which services use")
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
        """A file of the machine, as it is reached from outside."""
        return Path(f"/proc/{self._first}/root{name}")

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        """Make a file of the machine, and the directories that it is in."""
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        self.path(name).write_text(text)
        self.path(name).chmod(mode)

    def run(self, command: str, *, code: int | None = 0, entering: str = "", outer_network: bool = False) -> str:
        """What a shell of the machine prints for `command`, which must end with `code` (None: with any).

        The network of the machine leads nowhere; with `outer_network` the command has ours.
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
        """Let `journal` begin here."""
        self._mark = self.run("journalctl --quiet --lines 0 --show-cursor").strip().removeprefix("-- cursor: ")

    def journal(self) -> str:
        """What the journal has of condord since `mark`: its own words, and systemd's about it."""
        units = "_SYSTEMD_UNIT=condord.service + UNIT=condord.service + UNIT=condord.socket"
        return self._ran(f"journalctl --quiet --output cat --after-cursor '{self._mark}' {units}").stdout

    def told(self, words: str) -> None:
        """Wait until the journal has `words`."""
        until(lambda: words in self.journal(), lambda: f"the journal has {words!r}: {self.journal()}")

    @contextlib.contextmanager
    def network(self) -> Iterator[None]:
        """This thread, the threads and the programs that it starts are in the machine's network, not in ours."""
        with Path("/proc/thread-self/ns/net").open() as ours, Path(f"/proc/{self._first}/ns/net").open() as its:
            _enter(its)
            try:
                yield
            finally:
                _enter(ours)

    def close(self) -> None:
        """Switch it off."""
        self._booter.communicate()


def status() -> dict:
    """What condord says of itself."""
    return fetch(f"{URL}/api/status")[2]


def live() -> dict:
    """The first status of a daemon whose stream is live."""
    return until(lambda: (now := status())["state"] == "live" and now, "the stream is live")


def _enter(network: IO[str]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)  # os.setns came with Python 3.12
    if libc.setns(network.fileno(), _CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "setns")


def install(machine: Machine) -> None:
    """Put condord into /opt/condord, on the packages that the tests run on, and start the local Alpaca.

    What pip makes of the package is another test's matter; it takes half a minute.
    """
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    packages = f"/opt/condord/lib/{python}/site-packages"
    machine.run(f"/usr/bin/{python} -m venv --without-pip /opt/condord")  # another may be in a home directory
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


def copy_sources(machine: Machine, place: str) -> None:
    """Lay out what a clone has that is needed to install condord."""
    made = shutil.ignore_patterns("__pycache__", "node_modules", "dist")
    for name in ("condord", "systemd", "web"):
        shutil.copytree(ROOT / name, machine.path(f"{place}/{name}"), ignore=made)
    for name in ("pyproject.toml", "README.md", "condord.toml.example"):
        machine.write(f"{place}/{name}", (ROOT / name).read_text())


def configuration(where: Ready = SIMULATOR, **changed: str) -> str:
    """A condord.toml for the Alpaca at these addresses; `changed` gives lines by their section."""
    urls = {name.partition(".")[2]: url for name, url in where.flags().items() if name.endswith("_url")}
    sections = {
        "alpaca": "".join(f'{name} = "{url}"\n' for name, url in urls.items()),
        "stream": "backoff_min_seconds = 0.05\nbackoff_max_seconds = 0.5\n",
    }
    for section, lines in changed.items():
        sections[section] = f"{sections.get(section, '')}{lines}\n"
    return "".join(f"[{section}]\n{lines}" for section, lines in sections.items())
