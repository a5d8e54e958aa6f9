"""Decides how a command that paints takes the terminal, and gives it back however it ends.

Rules:
    While it is taken, signals are not acted upon where they arrive but told by `wait`, between two pictures.
    Ctrl-C is a KeyboardInterrupt as ever. SIGTERM and SIGHUP end the process by themselves, after the terminal was
    given back. Ctrl-Z gives it back and takes it again when the command goes on.
    Keys are not echoed, they would stand in the picture; `q` ends it and Ctrl-L paints it anew. A command in the
    background is stopped when it takes the terminal, as by every program of this kind (SIGTTOU).
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

from condord.cli.canvas import GIVE_BACK, TAKE
from condord.cli.screen import emit, emit_if_possible

_ENDING = (signal.SIGTERM, signal.SIGHUP)
_TOLD = (signal.SIGINT, signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH, *_ENDING)
_LOCAL_MODES = 3  # where termios.tcgetattr has the flags of echo and lines


class Bell:
    """Wakes a `wait`, from any thread; many rings are one."""

    def __init__(self) -> None:
        self.hearing, self.ringing = os.pipe()
        os.set_blocking(self.hearing, False)
        os.set_blocking(self.ringing, False)

    def ring(self) -> None:
        """Wake it."""
        with suppress(BlockingIOError):  # a full pipe wakes it, too
            os.write(self.ringing, b"\0")

    def heard(self) -> set[int]:
        """What came since it was last asked, 0 and numbers of signals."""
        with suppress(BlockingIOError):
            return set(os.read(self.hearing, 65536))
        return set()


class Terminal:
    """The terminal, taken by `taken`."""

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._keyboard = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None
        self._modes: list[object] | None = None

    def wait(self, seconds: float) -> set[str]:
        """Wait until the bell, a key or a signal: `anew` where the picture must be painted as a whole, `end`.

        Raises:
            KeyboardInterrupt: Ctrl-C was pressed.
        """
        sources = [self._bell.hearing] if self._keyboard is None else [self._bell.hearing, self._keyboard]
        ready, _, _ = select.select(sources, [], [], seconds)
        wanted = self._typed() if self._keyboard in ready else set()
        return wanted | self._signalled(self._bell.heard())

    def _typed(self) -> set[str]:
        assert self._keyboard is not None  # noqa: S101, something was typed
        try:
            keys = os.read(self._keyboard, 1024)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            keys = b""
        if not keys:  # a terminal that is gone; SIGHUP follows, if it is ours
            self._keyboard = None
        wanted = {"end"} if b"q" in keys else set()
        return wanted | ({"anew"} if b"\x0c" in keys else set())

    def _signalled(self, heard: set[int]) -> set[str]:
        if signal.SIGINT in heard:
            raise KeyboardInterrupt
        for ending in _ENDING:
            if ending in heard:
                raise Killed(ending)
        if signal.SIGTSTP in heard:
            self._stop()
        elif signal.SIGCONT in heard:
            self.take()
        return {"anew"} if heard & {signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT} else set()

    def _stop(self) -> None:
        self.give_back()
        told = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)  # and here it goes on
        signal.signal(signal.SIGTSTP, told)
        self.take()

    def take(self) -> None:
        """Take it, or take it again after others had it."""
        if self._keyboard is not None:
            self._modes = self._modes or termios.tcgetattr(self._keyboard)
            modes = [*self._modes]
            modes[_LOCAL_MODES] = int(str(modes[_LOCAL_MODES])) & ~(termios.ECHO | termios.ICANON)
            self._set(modes)
        emit(TAKE)

    def give_back(self) -> None:
        """Leave it as it was; one that is gone needs nothing."""
        emit_if_possible(GIVE_BACK)
        if self._keyboard is not None and self._modes is not None:
            with suppress(termios.error):
                self._set(self._modes)
        self._modes = None

    def _set(self, modes: list[object]) -> None:
        assert self._keyboard is not None  # noqa: S101, whoever calls has looked
        while True:
            try:
                termios.tcsetattr(self._keyboard, termios.TCSADRAIN, modes)  # type: ignore[arg-type]  # as tcgetattr gave
            except termios.error as error:
                if error.args[0] != errno.EINTR:  # stopped for being in the background, and continued
                    raise
            else:
                return


class Killed(Exception):
    """A signal came that ends the process; `die` lets it."""

    def __init__(self, number: int) -> None:
        self.number = number
        super().__init__(number)

    def die(self) -> None:
        """End as if nobody had caught the signal, so that whoever waits for us learns of it."""
        signal.signal(self.number, signal.SIG_DFL)
        os.kill(os.getpid(), self.number)


@contextmanager
def taken(bell: Bell) -> Iterator[Terminal]:
    """The terminal, for as long as the context is open; only in the main thread."""
    terminal = Terminal(bell)
    try:
        with _told(bell):
            try:
                terminal.take()
                yield terminal
            finally:
                terminal.give_back()
    except Killed as killed:
        killed.die()


@contextmanager
def _told(bell: Bell) -> Iterator[None]:
    """Signals ring the bell, and do nothing else."""

    def leave_it_to_the_bell(_number: int, _frame: FrameType | None) -> None:
        pass

    ears = signal.set_wakeup_fd(bell.ringing, warn_on_full_buffer=False)
    heeded = [number for number in _TOLD if signal.getsignal(number) is not signal.SIG_IGN]  # as under nohup
    before = {number: signal.signal(number, leave_it_to_the_bell) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(ears)
