"""A terminal emulator for the output of a program, and a program that runs on a pseudoterminal (pty)."""

import contextlib
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time

from tests.e2e import preludes
from tests.e2e.preloaded import Preloaded

_PART = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])|([^\x1b]+)|\x1b", re.DOTALL)
PATIENCE_SECONDS = 60.0


class Picture:
    """The screen of a terminal of `width` columns and `height` rows; an unknown control sequence is an error."""

    def __init__(self, width, height):
        self.modes = {"7": True, "25": True, "1049": False, "2026": False}
        self.resize(width, height)

    def resize(self, width, height):
        """Resize and clear the screen, as some terminals do."""
        self.width, self.height = width, height
        self._screens = {False: [""] * height, True: [""] * height}
        self._row = self._column = 0
        self._other_cursor = (0, 0)  # on the screen that is not shown

    @property
    def rows(self):
        """The text of each row, without trailing blanks."""
        return [row.rstrip() for row in self._screens[self.modes["1049"]]]

    @property
    def is_sane(self):
        """Whether lines wrap, the cursor is visible, and the main screen is shown."""
        return self.modes == {"7": True, "25": True, "1049": False, "2026": False}

    def feed(self, text):
        for private, numbers, command, printed in _PART.findall(text):
            if printed:
                for letter in printed:
                    self._put(letter)
            else:
                self._control(private, numbers, command)

    def _control(self, private, numbers, command):
        rows = self._screens[self.modes["1049"]]
        if private and command in "hl":
            assert numbers in self.modes, numbers
            if numbers == "1049" and self.modes[numbers] != (command == "h"):
                (self._row, self._column), self._other_cursor = self._other_cursor, (self._row, self._column)
            self.modes[numbers] = command == "h"
        elif command == "H":
            row, column = (int(number) for number in (numbers or "1;1").split(";"))
            self._row, self._column = min(row, self.height) - 1, min(column, self.width) - 1  # as terminals do
        elif command == "J":
            first = 0 if numbers == "2" else self._row
            rows[first:] = [""] * (self.height - first)
        elif command == "K":
            rows[self._row] = rows[self._row][: self._column]
        else:
            assert command == "m", f"{private}{numbers}{command}"

    def _put(self, letter):
        if letter == "\r":
            self._column = 0
            return
        if letter == "\n":
            self._down()
            return
        if self._column == self.width and self.modes["7"]:
            self._column = 0
            self._down()
        at = min(self._column, self.width - 1)  # without wrapping, all goes to the last column
        rows = self._screens[self.modes["1049"]]
        row = rows[self._row].ljust(at)
        rows[self._row] = row[:at] + letter + row[at + 1 :]
        # Without wrapping the cursor stays on the last column, and erasing from there erases its letter.
        self._column = at + 1 if self.modes["7"] else min(at + 1, self.width - 1)

    def _down(self):
        rows = self._screens[self.modes["1049"]]
        if self._row == self.height - 1:
            rows.append("")
            del rows[0]
        else:
            self._row += 1


class Program:
    """A program with its own controlling terminal; `picture` is the screen, `output` all that was written."""

    def __init__(self, leader, name, process, width, height):
        self.process, self._leader, self._name = process, leader, name
        self.picture, self.output = Picture(width, height), ""
        self._undecoded = b""

    def type(self, keys):
        os.write(self._leader, keys.encode())

    def hang_up(self):
        """Close the terminal, as closing its window does."""
        os.close(self._leader)
        self._leader = None

    def hold(self):
        """Stop the output, as Ctrl-S does."""
        follower = os.open(self._name, os.O_RDWR | os.O_NOCTTY)
        termios.tcflow(follower, termios.TCOOFF)
        os.close(follower)

    def resize(self, width, height):
        self.picture.resize(width, height)
        _size(self._leader, width, height)

    def until(self, holds, what=""):
        """Read the output until `holds(self)`; `what` names that in the failure."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not holds(self):
            left = end - time.monotonic()
            assert left > 0, f"{what or 'it'} did not come: {self.picture.rows}"
            if not self._take(left):
                assert holds(self), f"{what or 'it'} did not come before the end: {self.picture.rows}"
                return

    def until_shown(self, text):
        self.until(lambda program: any(text in row for row in program.picture.rows), text)

    def wait(self):
        """Wait for the end of the program; return its exit code, negative for a signal."""
        end = time.monotonic() + PATIENCE_SECONDS
        while self.process.poll() is None and time.monotonic() < end:
            self._take(0.05)
        while self._take(0.0):
            pass
        return self.process.wait(PATIENCE_SECONDS)

    def echoes(self):
        """Whether the terminal echoes keys and is in canonical (line) mode."""
        wanted = termios.ECHO | termios.ICANON
        return termios.tcgetattr(self._leader)[3] & wanted == wanted

    def _take(self, seconds):
        ready, _, _ = select.select([self._leader], [], [], seconds)
        if not ready:
            return False
        try:
            data = os.read(self._leader, 65536)
        except OSError:  # EIO: no process has the terminal open
            return False
        text = (self._undecoded + data).decode(errors="ignore")
        cut = text.rfind("\x1b") if re.search(r"\x1b(\[[?0-9;]*)?\Z", text) else len(text)
        self._undecoded = text[cut:].encode()
        self.output += text[:cut]
        self.picture.feed(text[:cut])
        return bool(data)


def _size(leader, width, height):
    fcntl.ioctl(leader, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))


def running(*command, width=100, height=30, held=False, **environ):
    """Run `command` on a terminal until the context ends; `held`: the output is stopped from the start (Ctrl-S)."""

    def start(name, follower):
        # The first terminal that a session leader opens becomes its controlling terminal (tty(4)).
        opening = ("sh", "-c", 'exec "$@" <"$0" >"$0" 2>&1', name)
        return subprocess.Popen(
            (*opening, *command), stdin=subprocess.DEVNULL, stdout=follower, stderr=follower, start_new_session=True,
            env={**os.environ, "TERM": "xterm", **environ},
        )  # fmt: skip

    return _on_terminal(start, width, height, held)


def condord(*arguments, **how):
    """Run `condord ...` on a terminal."""
    return running(sys.executable, "-m", "condord", *arguments, **how)


def forked_condord(folder, *arguments, held=False):
    """The same as a fork of a process that has imported everything; a file is written into `folder`."""

    def start(name, _follower):
        prelude = preludes.given(folder, session=True, files=dict.fromkeys(range(3), name))
        process = Preloaded([*arguments], {**os.environ, "TERM": "xterm", **prelude})
        process.stdout.close()
        process.stderr.close()
        return process

    return _on_terminal(start, 100, 30, held, opens_late=True)


@contextlib.contextmanager
def _on_terminal(start, width, height, held, *, opens_late=False):
    leader, follower = pty.openpty()
    _size(leader, width, height)
    if held:
        termios.tcflow(follower, termios.TCOOFF)
    name = os.ttyname(follower)
    process = start(name, follower)
    if not opens_late:  # otherwise the terminal would be hung up until the program opens it
        os.close(follower)
    program = Program(leader, name, process, width, height)
    try:
        yield program
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        if opens_late:
            os.close(follower)
        if program._leader is not None:
            os.close(leader)
