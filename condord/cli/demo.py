"""The simulator that `start --demo` runs as a child process. It always ends with the daemon.

The child runs `condord simulate --json --until-eof`. It prints one JSON object, `Ready`, to its standard output. It
ends when the pipe on its standard input closes. The system closes it no matter how the parent ends, SIGKILL included.
For the same reason it is the child that makes and removes the temporary state directory of the daemon.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

import condord
from condord.cli.output import write_stderr
from condord.cli.progress import progress
from condord.cli.screen import plain
from condord.config import schema
from condord.config.sources import LoadedConfig, SetByCommand
from condord.errors import Unavailable

COMMAND = "condord start --demo"
CREDENTIALS: Mapping[str, str] = {"APCA_API_KEY_ID": "DEMOKEYID", "APCA_API_SECRET_KEY": "made-up-for-the-demo"}
READY_SECONDS = 20.0
STOP_SECONDS = 1.0

_ARGUMENTS = ("simulate", "--port", "0", "--json", "--until-eof")
_ENVIRON = frozenset(
    # Where programs, libraries and time zones are, and the language.
    {"HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "PYTHONTZPATH", "TEMP", "TMP", "TMPDIR", "TZ"}
    | {"PYTHONDONTWRITEBYTECODE", "PYTHONIOENCODING", "PYTHONPYCACHEPREFIX", "PYTHONUTF8", "TZDIR"}
    # The only variable of condord that the simulator uses.
    | {"CONDORD_LOG_LEVEL"}
)
_HINT = "Run `condord simulate` by itself to see what is wrong."


class Ready(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """The line that `simulate --json` prints once it listens.

    `state_directory` is a temporary one for the daemon, which is removed at the end; empty if there is none.
    """

    trading_url: str
    data_url: str
    option_stream_url: str
    trading_stream_url: str
    stock_stream_url: str
    state_directory: str = ""

    @classmethod
    def at(cls, base: str, state_directory: str = "") -> Ready:
        """Return the addresses of a simulator at `base`, `http://host:port`."""
        sockets = "ws" + base.removeprefix("http")
        return cls(
            trading_url=base,
            data_url=base,
            option_stream_url=f"{sockets}/v1beta1/indicative",
            trading_stream_url=f"{sockets}/stream",
            stock_stream_url=f"{sockets}/v2/iex",
            state_directory=state_directory,
        )

    def flags(self) -> dict[str, object]:
        """Return the configuration keys that make a daemon use the simulator."""
        urls = {f"alpaca.{name}": getattr(self, name) for name in self.__struct_fields__ if name.endswith("_url")}
        return {**urls, "alpaca.paper": True, "alpaca.feed": "indicative", "alpaca.stock_feed": "iex"}

    def environ(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return `environ` with the key of the simulator and, unless it names a state directory, the temporary one."""
        state = {"STATE_DIRECTORY": self.state_directory} if self.state_directory else {}
        return {**environ, **CREDENTIALS, **({} if environ.get("STATE_DIRECTORY") else state)}


def command() -> tuple[str, ...]:
    """Return the command that runs the simulator with this interpreter and this code.

    It passes `sys.path` in the code, because nothing else is sure to find the same code. `-m condord` would look in
    the working directory first. `-P -m condord` would miss what only our `sys.path` has, for example in a clone that is
    not installed. PYTHONPATH comes before the standard library, and an empty part of it is the working directory.
    """
    package = str(Path(condord.__file__).parents[1])
    paths = [path for path in sys.path if Path(path).is_absolute()]
    if package not in paths:
        paths.insert(0, package)
    code = f"import sys; sys.path[:] = {paths!r}; from condord.__main__ import main; main()"
    return (sys.executable, "-P", "-c", code, *_ARGUMENTS)


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the child's environment: `environ` without the key, the token and the variables that systemd sets."""
    return {name: value for name, value in environ.items() if name in _ENVIRON or name.startswith("LC_")}


def settings(ready: Ready) -> dict[str, SetByCommand]:
    """Return the keys that the demo sets: the account's, and all of [cluster], because a demo is never in a cluster."""
    no_cluster = {field.name: field.default for field in schema.fields() if field.section == "cluster"}
    return {name: SetByCommand(value, COMMAND) for name, value in {**ready.flags(), **no_cluster}.items()}


def ignored(loaded: LoadedConfig, settings: Mapping[str, SetByCommand]) -> list[str]:
    """Return the keys that are configured with other values than in `settings`, each with its origin."""

    def value_of(name: str) -> object:
        section, _, key = name.partition(".")
        return getattr(getattr(loaded.config, section), key)

    is_set = {name: origin for name, origin in loaded.origins.items() if origin != "default"}
    return [
        f"{name} ({is_set[name]})" for name, own in settings.items() if name in is_set and value_of(name) != own.value
    ]


@contextmanager
def simulator(argv: Sequence[str] | None = None) -> Iterator[Ready]:
    """Run a simulator while the context is open; `argv` starts it, by default `command()`.

    Its stderr is forwarded to this process's. If it ends by itself, that is reported once.

    Raises:
        Unavailable: it ended or was not ready within `READY_SECONDS`; the error has its own last line.
    """
    child = subprocess.Popen(  # noqa: S603, our own program
        argv or command(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(os.environ),
        start_new_session=True,  # so that Ctrl-C reaches only the daemon
    )
    ending = threading.Event()
    state_directory = ""
    forwarding = threading.Thread(target=_forward_stderr, args=(child, ending), daemon=True)
    try:
        with progress("starting the simulator"):
            ready = _wait_until_ready(child)
        state_directory = ready.state_directory
        forwarding.start()
        yield ready
    finally:
        ending.set()
        _end(child)
        remove(state_directory)  # again, in case the child was killed
        if forwarding.is_alive():
            forwarding.join(STOP_SECONDS)
        for pipe in (child.stdout, child.stderr):
            assert pipe is not None  # noqa: S101, they are pipes
            pipe.close()


def _wait_until_ready(child: subprocess.Popen[bytes]) -> Ready:
    assert child.stdout is not None  # noqa: S101, they are pipes
    readable, _, _ = select.select([child.stdout], [], [], READY_SECONDS)
    if not readable:
        raise Unavailable(f"the simulator was not ready within {READY_SECONDS:g} s", _HINT)
    line = child.stdout.readline()
    if not line:
        raise Unavailable(_exit_reason(child), _HINT)
    try:
        return msgspec.json.decode(line, type=Ready)
    except msgspec.DecodeError as error:
        raise Unavailable("the simulator did not print its addresses", _HINT) from error


def _exit_reason(child: subprocess.Popen[bytes]) -> str:
    assert child.stderr is not None  # noqa: S101
    lines = [line for line in child.stderr.read(65536).decode(errors="replace").splitlines() if line.strip()]
    error = next((line.removeprefix("condord: ") for line in lines if line.startswith("condord: ")), "")
    reason = error or (lines or ["no message"])[-1]
    return f"the simulator exited with {child.wait()} at its start: {plain(reason)}"


def _forward_stderr(child: subprocess.Popen[bytes], ending: threading.Event) -> None:
    """Write the child's lines to stderr, then report its end unless we ended it; waiting for it leaves no zombie."""
    assert child.stderr is not None  # noqa: S101
    for line in child.stderr:
        write_stderr(f"simulator: {plain(line.decode(errors='replace').rstrip())}")
    code = child.wait()
    if not ending.is_set():
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        write_stderr(f"condord: the simulator has ended ({how}); stop condord and start the demo again")


def _end(child: subprocess.Popen[bytes]) -> None:
    """Close the pipe, which ends the child; kill it if it does not end."""
    assert child.stdin is not None  # noqa: S101
    with suppress(OSError):
        child.stdin.close()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def make_state_directory() -> str:
    """Make a directory that only its owner can use; empty if there is no place for it."""
    try:
        return tempfile.mkdtemp(prefix="condord-demo-")
    except OSError:
        return ""


def remove(state_directory: str) -> None:
    """Remove a directory that `make_state_directory` made, with all its files, if it is still there."""
    if state_directory:
        shutil.rmtree(state_directory, ignore_errors=True)


def end_at_eof(state_directory: str = "", *, grace_seconds: float = STOP_SECONDS) -> None:
    """End this process when its standard input ends: by SIGTERM, and by force after `grace_seconds`.

    `state_directory` is removed before.
    """

    def watch() -> None:
        with suppress(OSError):
            while os.read(0, 4096):
                pass
        remove(state_directory)
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(grace_seconds)
        os._exit(0)

    threading.Thread(target=watch, name="end-at-eof", daemon=True).start()
