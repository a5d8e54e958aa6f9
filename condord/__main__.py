"""The entry point of `condord` and `python -m condord`, with signal handlers for the time before a command's own.

It imports almost nothing itself, so that the handlers are there early: importing the rest takes up to a second. Until a
command has its own handlers, Ctrl-C exits with 130; `start` and `simulate` exit with 0 on SIGINT and SIGTERM.

Ctrl-C in the time before, in which the interpreter starts and imports this module, cannot be handled: the interpreter
reports KeyboardInterrupt itself.
"""

import os
import sys

_INTERRUPTED = 130
_SERVING = ("start", "simulate")
_ERASE = b"\r\x1b[K"


def main() -> None:
    """Run the command line and exit."""
    try:
        _open_missing_files()
        command = sys.argv[1] if len(sys.argv) > 1 else ""
        _take_signals(command)
        from condord.cli.main import main as run

        # Once the command is imported: a KeyboardInterrupt may get lost in an import.
        run(ready=lambda: _give_back_signals(command))
    except KeyboardInterrupt:
        os._exit(_INTERRUPTED)


def _open_missing_files() -> None:
    """Open /dev/null for a closed standard file (`2>&-`): otherwise the first socket would get its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # noqa: FBT003  # of the lowest free number
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", closefd=False)


def _take_signals(command: str) -> None:
    """Handle signals until the command does.

    A signal that was ignored at the start (`nohup`, a background job of sh) stays ignored. `condord.host.signals` later
    recognises that by SIG_IGN too, so nothing is set to SIG_IGN here.
    """
    import signal

    is_serving = command in _SERVING
    code = 0 if is_serving else _INTERRUPTED
    for number in (signal.SIGINT, signal.SIGTERM) if is_serving else (signal.SIGINT,):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, lambda *_: _leave(code))
    # `start` reloads on SIGHUP; before it serves there is nothing to reload, and the default would kill it.
    if command == "start" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, lambda *_: None)


def _give_back_signals(command: str) -> None:
    import signal

    if command not in _SERVING and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _leave(code: int) -> None:
    """Exit at once, and clear the line of `cli.progress` on a terminal.

    By `os._exit`, not by an exception. Nothing has to be cleaned up: the simulator of a demo
    ends when its pipe is closed.
    """
    try:
        if os.isatty(2) and os.environ.get("TERM", "dumb") != "dumb" and _takes_output():
            os.write(2, _ERASE)
    finally:
        os._exit(code)


def _takes_output() -> bool:
    """Whether stderr can be written to; a terminal stopped by Ctrl-S cannot."""
    import select

    return bool(select.select([], [2], [], 0)[1])


if __name__ == "__main__":
    main()
