"""Decides how `start --demo` gets its Alpaca: the simulator as a child process, and never one that outlives us.

Rules:
    The child is `condord simulate --json --until-eof` in a session of its own, so that Ctrl-C reaches only the
    daemon. It lives as long as the pipe on its standard input is open: however the parent goes, SIGKILL included,
    the system closes the pipe. Its standard output gives one JSON object, `Ready`; its standard error passes
    through ours, except before it is ready, when what it says becomes our error.
    A child that ends by itself is said once, for the daemon can then only wait for it.
    The demo's configuration is the user's own, but for the account: `Ready.flags` overrule it.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

import msgspec

from condord.cli.progress import progress
from condord.cli.screen import plain, tell
from condord.errors import Unavailable

CREDENTIALS: Mapping[str, str] = {"APCA_API_KEY_ID": "DEMOKEYID", "APCA_API_SECRET_KEY": "made-up-for-the-demo"}
READY_SECONDS = 20.0
STOP_SECONDS = 1.0

_COMMAND = (sys.executable, "-m", "condord", "simulate", "--port", "0", "--json", "--until-eof")
_HINT = "Run `condord simulate` by itself to see what is wrong."


class Ready(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What `simulate --json` prints when it listens."""

    trading_url: str
    data_url: str
    option_stream_url: str
    trading_stream_url: str

    @classmethod
    def at(cls, base: str) -> Ready:
        """The four addresses of a simulator at `base`, `http://host:port`."""
        sockets = "ws" + base.removeprefix("http")
        return cls(
            trading_url=base,
            data_url=base,
            option_stream_url=f"{sockets}/v1beta1/indicative",
            trading_stream_url=f"{sockets}/stream",
        )

    def flags(self) -> dict[str, object]:
        """The keys of the configuration that say so, and those that must fit."""
        urls = {f"alpaca.{field}": getattr(self, field) for field in self.__struct_fields__}
        return {**urls, "alpaca.paper": True, "alpaca.feed": "indicative"}


@contextmanager
def simulator(command: tuple[str, ...] = _COMMAND) -> Iterator[Ready]:
    """A simulator that listens, for as long as the context is open.

    Raises:
        Unavailable: it ended, or did not get ready within `READY_SECONDS`.
    """
    environ = {name: value for name, value in os.environ.items() if not name.startswith("APCA_")}
    child = subprocess.Popen(  # noqa: S603, our own program
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environ,
        start_new_session=True,
    )
    ending = threading.Event()
    passing = threading.Thread(target=_pass_on, args=(child, ending), daemon=True)
    try:
        with progress("starting the local Alpaca"):
            ready = _ready(child)
        passing.start()
        yield ready
    finally:
        ending.set()
        _end(child)
        if passing.is_alive():
            passing.join(STOP_SECONDS)
        for pipe in (child.stdout, child.stderr):
            assert pipe is not None  # noqa: S101, they are pipes
            pipe.close()


def _ready(child: subprocess.Popen[bytes]) -> Ready:
    assert child.stdout is not None  # noqa: S101, they are pipes
    readable, _, _ = select.select([child.stdout], [], [], READY_SECONDS)
    if not readable:
        raise Unavailable(f"the simulator was not ready within {READY_SECONDS:g} s", _HINT)
    line = child.stdout.readline()
    if not line:
        raise Unavailable(_last_words(child), _HINT)
    try:
        return msgspec.json.decode(line, type=Ready)
    except msgspec.DecodeError as error:
        raise Unavailable("the simulator said something else than its addresses", _HINT) from error


def _last_words(child: subprocess.Popen[bytes]) -> str:
    assert child.stderr is not None  # noqa: S101
    said = [line for line in child.stderr.read(65536).decode(errors="replace").splitlines() if line.strip()]
    why = next((line.removeprefix("condord: ") for line in said if line.startswith("condord: ")), "")
    return f"the simulator ended at start with {child.wait()}: {plain(why or (said or ['no word'])[-1])}"


def _pass_on(child: subprocess.Popen[bytes], ending: threading.Event) -> None:
    """What the child says, and then that it has ended, if nobody ended it; waiting for it leaves no zombie."""
    assert child.stderr is not None  # noqa: S101
    for line in child.stderr:
        tell(f"simulator: {plain(line.decode(errors='replace').rstrip())}")
    code = child.wait()
    if not ending.is_set():
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        tell(f"condord: the local Alpaca has ended ({how}); stop condord and start the demo again")


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the child: by the pipe, which it watches, then by force."""
    assert child.stdin is not None  # noqa: S101
    with suppress(OSError):
        child.stdin.close()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def end_at_eof(patience_seconds: float = STOP_SECONDS) -> None:
    """From now on, when standard input ends, end this process: SIGTERM, then without asking."""

    def watch() -> None:
        with suppress(OSError):
            while os.read(0, 4096):
                pass
        os.kill(os.getpid(), signal.SIGTERM)
        threading.Event().wait(patience_seconds)
        os._exit(0)

    threading.Thread(target=watch, name="end-at-eof", daemon=True).start()
