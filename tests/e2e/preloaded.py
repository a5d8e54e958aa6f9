"""Run `condord …` in a process that has already imported it, as imports take most of the start time.

Each test process has one fork server, which imports everything once. It forks each program, waits for it, and sends its
exit code. Tests of the imports themselves start a new interpreter (`running.Program`, tests/cli/test_main.py).

A program can be run with other constants than it has (`replaced`), so that what takes half a minute takes a second.
The tests of a constant's module check its value.
"""

import array
import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
import typing
from collections.abc import Mapping
from pathlib import Path

import msgspec

MAX_REQUEST_BYTES = 100_000
PRELOADED = (
    "condord.__main__",
    "condord.cli.completion",
    "condord.cli.demo",
    "condord.cli.main",
    "condord.cli.progress",
    "condord.cli.relay",
    "condord.cli.simulate",
    "condord.cli.start",
    "condord.config.startup",
    "condord.daemon.relay_service",
    "condord.daemon.service",
    "condord.simulator.server",
    "platformdirs.unix",
    "uvicorn.lifespan.off",
)
"""What `start` and `simulate` import before they serve."""
REPLACED = "TESTS_REPLACED_CONSTANTS"
PRELUDE = "TESTS_PRELUDE"
"""Variables of a program's environment that it does not see: its other constants, and a file that is run first."""
_LOCK = threading.Lock()


def replaced(**constants: object) -> dict[str, str]:
    """The environment of a program in which constants of modules have other values.

    A name is `live.link.STEP_SECONDS` with two underscores in place of each dot; where a module imports a constant by
    name, that module has one of its own. A value is anything that JSON can hold.
    """
    return {REPLACED: json.dumps({name.replace("__", "."): value for name, value in constants.items()})}


class Preloaded:
    """A running program with the interface of `subprocess.Popen`; stdin is empty, stdout and stderr are text pipes."""

    def __init__(self, arguments: list[str], environ: dict[str, str]) -> None:
        self.returncode: int | None = None
        self._lock = threading.Lock()
        self._parent, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
        out, err = os.pipe(), os.pipe()
        request = json.dumps({"arguments": arguments, "environ": environ, "cwd": str(Path.cwd())}).encode()
        files = array.array("i", (out[1], err[1], theirs.fileno()))
        with _LOCK:
            server = _fork_server()
        server.sendmsg([request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
        os.close(out[1])
        os.close(err[1])
        theirs.close()
        self.stdout, self.stderr = os.fdopen(out[0]), os.fdopen(err[0])
        self.pid = int(self._parent.recv(20))

    def poll(self) -> int | None:
        """The exit code; None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0.0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, negative for a signal; raises `TimeoutExpired`."""
        with self._lock:
            if self.returncode is None:
                self._parent.settimeout(timeout)
                try:
                    self.returncode = int(self._parent.recv(20))
                except (TimeoutError, BlockingIOError):
                    raise subprocess.TimeoutExpired("condord", timeout) from None
                self._parent.close()
            return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal unless the program has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):  # it has ended since
                os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


@functools.cache
def _fork_server() -> socket.socket:
    """A socket to the fork server of this process, which ends when the socket is closed."""
    ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
    command = [sys.executable, "-m", __name__, str(theirs.fileno())]
    # It ends with the socket, and no code waits for it; with a return code set, Popen does not warn.
    subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL).returncode = 0
    theirs.close()
    atexit.register(ours.close)
    return ours


def _serve(asking: socket.socket) -> None:
    """Start a program for each request, and send its process id and exit code, until the socket is closed.

    A program is killed when its test process has closed the socket or has ended, however it ended.
    """
    for name in PRELOADED:
        importlib.import_module(name)
    importlib.import_module("condord.config.sources").read(None, {}, {})  # prepares the types of all keys
    gc.freeze()  # otherwise the first collection in each program would copy all of it
    ready = select.poll()
    ready.register(asking, select.POLLIN)
    running: dict[int, _Child] = {}
    while True:
        for file, _ in ready.poll():
            if file == asking.fileno():
                request, ancillary, _, _ = asking.recvmsg(MAX_REQUEST_BYTES, socket.CMSG_SPACE(3 * 4))
                if not request:
                    for child in running.values():
                        os.kill(child.pid, signal.SIGKILL)
                    return
                child = _fork(json.loads(request), *array.array("i", ancillary[0][2]), (asking.fileno(), *running))
                running |= {child.ended: child, child.report: child}
                ready.register(child.ended, select.POLLIN)
                ready.register(child.report, 0)  # only POLLHUP, which cannot be left out
            elif (child := running.get(file)) is not None:
                if file == child.report:
                    os.kill(child.pid, signal.SIGKILL)
                code = os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1])
                with contextlib.suppress(OSError):
                    os.write(child.report, str(code).encode())
                for closed in (child.ended, child.report):
                    ready.unregister(closed)
                    os.close(closed)
                    del running[closed]


class _Child(typing.NamedTuple):
    """A running program; `ended` is readable when it has ended, and `report` is a socket to the test process."""

    pid: int
    ended: int
    report: int


def _fork(request: dict, out: int, err: int, report: int, others: tuple[int, ...]) -> _Child:
    """Fork the program, which closes the files in `others`."""
    if pid := os.fork():
        os.write(report, str(pid).encode())
        for file in (out, err):
            os.close(file)
        return _Child(pid=pid, ended=os.pidfd_open(pid), report=report)
    for file in (*others, report):
        os.close(file)
    for inherited, number in ((out, 1), (err, 2)):
        os.dup2(inherited, number)
        os.close(inherited)
    code: object = 1
    try:
        _run(request)
    except SystemExit as leaving:
        code = leaving.code
    except BaseException:  # noqa: BLE001 - the interpreter would print it, too
        traceback.print_exc()
    # As the interpreter does at its end, which then takes 0.1 s to free what was imported.
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in filter(None, (sys.stdout, sys.stderr)):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def _run(request: dict) -> None:
    """Be the program that is requested."""
    os.environ.clear()
    os.environ.update(request["environ"])
    time.tzset()
    os.chdir(request["cwd"])
    _replace(json.loads(os.environ.pop(REPLACED, "{}")))
    if prelude := os.environ.pop(PRELUDE, ""):
        exec(compile(Path(prelude).read_text(), prelude, "exec"), {"__file__": prelude})  # noqa: S102 - of the test
    import condord.__main__

    sys.argv = [condord.__main__.__file__, *request["arguments"]]
    condord.__main__.main()


def _replace(constants: Mapping[str, object]) -> None:
    for name, value in constants.items():
        module, _, constant = f"condord.{name}".rpartition(".")
        owner = importlib.import_module(module)
        if not hasattr(owner, constant):
            raise AttributeError(f"{module} has no {constant}")
        kind = typing.get_type_hints(owner).get(constant, object)
        setattr(owner, constant, msgspec.convert(value, kind))


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
