"""`condord`, and `python -m condord`: the way into the command line, and what a signal does until a command answers it.

Rules:
    It imports next to nothing itself, so that signals find it early. While the rest is imported Ctrl-C leaves with 130.
    `start` and `simulate` leave with 0 on SIGINT and SIGTERM, from here until they have handlers of their own; SIGHUP,
    by which `start` reloads, does nothing to it until then. A signal that is ignored for us (`nohup`, `&`) stays so.
    To leave is `os._exit`, wherever the process is, as a KeyboardInterrupt may get lost on its way out of an import. No
    more is needed: the child of a demo ends with its pipe, and what is left behind is what a killed process leaves.
    A missing standard file (`2>&-`) is /dev/null, or else the first socket would get its number, and what is said
    there. Whoever writes to a missing standard output is told all the same, for that is what was asked for.
"""

import os
import sys

_INTERRUPTED = 130
_SERVING = ("start", "simulate")
_WIPE = b"\r\x1b[K"


def main() -> None:
    """Run the command line and leave the process."""
    try:
        _open_missing_files()
        command = sys.argv[1] if len(sys.argv) > 1 else ""
        _take_signals(command)
        from condord.cli.main import main as run

        _give_back_signals(command)
        run()
    except KeyboardInterrupt:
        os._exit(_INTERRUPTED)


def _open_missing_files() -> None:
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003  # of the lowest free number
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)


def _take_signals(command: str) -> None:
    import signal

    is_serving = command in _SERVING
    code = 0 if is_serving else _INTERRUPTED
    for number in (signal.SIGINT, signal.SIGTERM) if is_serving else (signal.SIGINT,):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: _leave(code))
    if command == "start":
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _give_back_signals(command: str) -> None:
    import signal

    if command not in _SERVING and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(code: int) -> None:
    """End at once; on a terminal without what `progress` may have said."""
    try:
        if os.isatty(2) and os.environ.get("TERM", "dumb") != "dumb":
            os.write(2, _WIPE)
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
