"""Take the terminal for a program that paints, and give it back however that program ends.

    Ctrl-C            KeyboardInterrupt
    SIGTERM, SIGHUP   end the process as if they had not been caught, after the terminal was given back
    Ctrl-Z            gives the terminal back, stops, and takes it again afterwards
    Ctrl-L, a resize  repaint

While the program has the terminal, signal handlers do nothing but wake `Terminal.wait`, which acts on signals between
two pictures. In the background the command is stopped when it takes the terminal (SIGTTOU), like any such program.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from condord.cli.canvas import ENTER, LEAVE
from condord.cli.keys import Keys
from condord.cli.output import try_write_stdout, write_stdout

REPAINT = "repaint"
_SEQUENCE_SECONDS = 0.05  # the bytes of a key arrive together, over a slow line a moment later
_ENDING = (signal.SIGTERM, signal.SIGHUP)
_HANDLED = (signal.SIGINT, signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH, *_ENDING)
_LOCAL_MODES = 3  # the index of the flags ECHO and ICANON in what termios.tcgetattr returns


class WakePipe:
    """Wakes a `select` from any thread or signal handler; several wakes before a `drain` count as one."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.read_end, False)
        os.set_blocking(self.write_end, False)

    def wake(self) -> None:
        """Make `read_end` readable."""
        with suppress(BlockingIOError):  # a full pipe is readable as well
            os.write(self.write_end, b"\0")

    def drain(self) -> set[int]:
        """Return what was written since the last call: 0 for `wake`, or the numbers of signals."""
        with suppress(BlockingIOError):
            return set(os.read(self.read_end, 65536))
        return set()


class Terminal:
    """The terminal while the program has it, as `take_terminal` yields it."""

    def __init__(self, pipe: WakePipe) -> None:
        self._pipe = pipe
        self._keyboard = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None
        self._keys = Keys()
        self._modes: list[object] | None = None

    def wait(self, seconds: float) -> list[str]:
        """Wait for the pipe, a key or a signal, at most `seconds`, and return the keys, and `repaint`.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed.
        """
        sources = [self._pipe.read_end] if self._keyboard is None else [self._pipe.read_end, self._keyboard]
        ready, _, _ = select.select(sources, [], [], seconds)
        keys = self._read_keys() if self._keyboard in ready else []
        return keys + self._handle_signals(self._pipe.drain())

    def _read_keys(self) -> list[str]:
        keys = self._keys.feed(self._read())
        while self._keys.is_open:
            sources = [] if self._keyboard is None else [self._keyboard]
            ready, _, _ = select.select(sources, [], [], _SEQUENCE_SECONDS)
            keys += self._keys.feed(self._read()) if ready else self._keys.close()
        return keys

    def _read(self) -> bytes:
        assert self._keyboard is not None  # noqa: S101, it was readable
        try:
            data = os.read(self._keyboard, 1024)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            data = b""
        if not data:  # the terminal is gone; SIGHUP follows if it was our controlling terminal
            self._keyboard = None
        return data

    def _handle_signals(self, numbers: set[int]) -> list[str]:
        if signal.SIGINT in numbers:
            raise KeyboardInterrupt
        for ending in _ENDING:
            if ending in numbers:
                raise Killed(ending)
        if signal.SIGTSTP in numbers:
            self._stop()
        elif signal.SIGCONT in numbers:
            self.take()
        return [REPAINT] if numbers & {signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT} else []

    def _stop(self) -> None:
        self.give_back()
        handler = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)  # returns after SIGCONT
        signal.signal(signal.SIGTSTP, handler)
        self.take()

    def take(self) -> None:
        """Turn echo and line mode off and enter the alternate screen.

        It may be called again after another program had the terminal.
        """
        if self._keyboard is not None:
            self._modes = self._modes or termios.tcgetattr(self._keyboard)
            modes = [*self._modes]
            modes[_LOCAL_MODES] = int(str(modes[_LOCAL_MODES])) & ~(termios.ECHO | termios.ICANON)
            self._set_modes(modes)
        write_stdout(ENTER)

    def give_back(self) -> None:
        """Restore the terminal as it was before. A terminal that is gone is not an error."""
        try_write_stdout(LEAVE)
        if self._keyboard is not None and self._modes is not None:
            with suppress(termios.error):
                self._set_modes(self._modes)
        self._modes = None

    def _set_modes(self, modes: list[object]) -> None:
        assert self._keyboard is not None  # noqa: S101, the callers check it
        while True:
            try:
                termios.tcsetattr(self._keyboard, termios.TCSADRAIN, modes)  # type: ignore[arg-type]  # as tcgetattr gave
            except termios.error as error:
                if error.args[0] != errno.EINTR:  # stopped for being in the background, then continued
                    raise
            else:
                return


class Killed(Exception):
    """A signal arrived that has to end the process."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(number)

    def die(self) -> None:
        """End by the signal itself, so that the parent process sees it in the wait status."""
        signal.signal(self.number, signal.SIG_DFL)
        os.kill(os.getpid(), self.number)


@contextmanager
def take_terminal(pipe: WakePipe) -> Iterator[Terminal]:
    """Take the terminal for the duration of the context; only possible in the main thread.

    Raises:
        Unwritable: stdout cannot be written.
    """
    terminal = Terminal(pipe)
    try:
        with _signals_written_to(pipe):
            try:
                terminal.take()
                yield terminal
            finally:
                terminal.give_back()
    except Killed as killed:
        killed.die()


@contextmanager
def _signals_written_to(pipe: WakePipe) -> Iterator[None]:
    """Have the interpreter write the number of each signal to the pipe, and do nothing else."""

    def ignore(_number: int, _frame: FrameType | None) -> None:
        pass

    previous_fd = signal.set_wakeup_fd(pipe.write_end, warn_on_full_buffer=False)
    # A signal that is ignored, as SIGHUP is under nohup, stays ignored.
    numbers = [number for number in _HANDLED if signal.getsignal(number) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, ignore) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(previous_fd)
