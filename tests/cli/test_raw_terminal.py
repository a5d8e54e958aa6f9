import errno
import io
import os
import signal
import sys
import termios

import pytest

from condord.cli import raw_terminal
from condord.cli.canvas import ENTER, LEAVE
from condord.cli.raw_terminal import Killed, Terminal, WakePipe, take_terminal
from tests.fakes import documents
from tests.fakes.daemon import HOLD, serving
from tests.fakes.terminal import condord, running

read = os.read
SNAPSHOT = b"retry: 1\n\n" + documents.frame("snapshot", documents.document(), "k-1")


@pytest.fixture
def url():
    with serving() as fake:
        fake.streams = [[SNAPSHOT, HOLD]]
        yield fake.url


@pytest.fixture
def watching(url):
    """A table that is painted on a terminal."""
    with condord("positions", "--watch", "--url", url) as program:
        program.until_shown("newest message")
        assert not program.picture.is_sane
        yield program


@pytest.mark.slow
def test_ctrl_c_leaves_the_terminal_sane_and_the_last_table_on_it(watching):
    watching.type("\x03")
    assert watching.wait() == 130
    assert watching.picture.is_sane
    assert watching.echoes()
    assert any("1,530.00" in row for row in watching.picture.rows)


@pytest.mark.slow
def test_q_quits_with_0(watching):
    watching.type("xq")
    assert watching.wait() == 0
    assert watching.picture.is_sane
    assert watching.echoes()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_process_after_the_terminal_was_given_back(watching, number):
    watching.process.send_signal(number)
    assert watching.wait() == -number
    assert watching.picture.is_sane
    assert watching.echoes()


@pytest.mark.slow
def test_keys_are_not_echoed_and_ctrl_l_repaints(watching):
    before = watching.picture.rows
    watching.type("hello\r\r")
    watching.type("\x0c")
    watching.until(lambda program: program.output.count("\x1b[2J") == 2)
    watching.until(lambda program: not program.picture.modes["2026"])
    assert [row[:20] for row in watching.picture.rows[:4]] == [row[:20] for row in before[:4]]
    assert not any("hello" in row for row in watching.picture.rows)


@pytest.mark.slow
def test_a_resize_repaints_for_the_new_size(watching):
    watching.resize(140, 30)
    watching.until_shown("CONDOR  ")
    watching.until_shown("newest message")
    watching.resize(50, 30)
    watching.until_shown("too narrow for KIND, QTY")  # what was painted for 140 columns may still have arrived before
    watching.until_shown("newest message")
    assert not any(len(row) > 50 for row in watching.picture.rows)


@pytest.mark.slow
def test_ctrl_z_gives_the_terminal_back_and_fg_takes_it_again(url):
    environ = {"PS1": "READY>", "HISTFILE": "", "PATH": os.environ["PATH"]}
    with running("bash", "--norc", "--noprofile", "--noediting", "-i", **environ) as shell:
        shell.until_shown("READY>")
        shell.type(f"{sys.executable} -m condord positions --watch --url {url}\r")
        shell.until_shown("newest message")
        shell.type("\x1a")
        shell.until_shown("Stopped")
        shell.until(lambda program: program.picture.is_sane and program.echoes())
        shell.type("fg\r")
        shell.until(lambda program: program.picture.modes["1049"])
        shell.until_shown("newest message")
        assert not shell.echoes()
        shell.type("q")
        shell.until(lambda program: program.picture.is_sane and program.echoes())
        shell.type("\rexit\r")
        shell.wait()


@pytest.mark.slow
def test_after_sigstop_and_sigcont_the_terminal_is_taken_again(watching):
    watching.process.send_signal(signal.SIGSTOP)
    watching.process.send_signal(signal.SIGCONT)
    watching.until(lambda program: program.output.count("\x1b[?1049h") == 2)
    watching.until_shown("newest message")


@pytest.mark.slow
def test_a_terminal_that_is_closed_ends_the_process(url):
    with condord("positions", "--watch", "--url", url) as program:
        program.until_shown("newest message")
        program.hang_up()
        assert program.process.wait(60) == -signal.SIGHUP


@pytest.mark.slow
def test_a_hangup_stays_ignored_under_nohup(url):
    ignoring = f"trap '' HUP; exec {sys.executable} -m condord positions --watch --url {url}"
    with running("sh", "-c", ignoring) as program:
        program.until_shown("newest message")
        program.process.send_signal(signal.SIGHUP)
        program.type("q")
        assert program.wait() == 0


def test_many_wakes_count_as_one():
    pipe = raw_terminal.WakePipe()
    assert pipe.drain() == set()
    for _ in range(100_000):  # more than a pipe holds
        pipe.wake()
    assert pipe.drain() == {0}
    os.close(pipe.read_end)
    os.close(pipe.write_end)


@pytest.fixture
def pipe(capsys):
    """With `capsys`, so that nothing reaches the terminal of the person who runs the tests."""
    pipe = WakePipe()
    yield pipe
    os.close(pipe.read_end)
    os.close(pipe.write_end)


class Keyboard:
    """A terminal that is this program's stdin; `type` writes what a person types."""

    def __init__(self):
        self._master, self._slave = os.openpty()
        self.file = os.fdopen(self._slave, "r")

    @property
    def is_sane(self):
        """Whether keys are echoed and lines edited."""
        modes = termios.tcgetattr(self._slave)[3]
        return modes & (termios.ECHO | termios.ICANON) == termios.ECHO | termios.ICANON

    def type(self, keys):
        os.write(self._master, keys)

    def unplug(self):
        """Close the terminal's other end, as a window that is closed does."""
        if self._master is not None:
            os.close(self._master)
            self._master = None

    def close(self):
        self.unplug()
        self.file.close()


@pytest.fixture
def keyboard(monkeypatch):
    keyboard = Keyboard()
    monkeypatch.setattr(sys, "stdin", keyboard.file)
    yield keyboard
    keyboard.close()


@pytest.fixture
def fatal_signals(monkeypatch):
    """The signals that would have ended this process."""
    numbers = []
    monkeypatch.setattr(Killed, "die", lambda killed: numbers.append(killed.number))
    return numbers


def test_the_terminal_is_taken_for_the_context_and_given_back(pipe, keyboard, capsys):
    with take_terminal(pipe):
        assert not keyboard.is_sane
        assert capsys.readouterr().out == ENTER
    assert keyboard.is_sane
    assert capsys.readouterr().out == LEAVE


def test_the_terminal_is_given_back_after_an_error(pipe, keyboard):
    with pytest.raises(ZeroDivisionError), take_terminal(pipe):
        _ = 1 / 0
    assert keyboard.is_sane


@pytest.mark.parametrize(
    ("keys", "actions"),
    [(b"q", ["q"]), (b"\x0c", ["repaint"]), (b"x\x0c\x1b[Aq", ["x", "repaint", "up", "q"]), (b"\x1b", ["escape"])],
)
def test_keys_are_returned_in_their_order(pipe, keyboard, keys, actions):
    with take_terminal(pipe) as terminal:
        keyboard.type(keys)
        assert terminal.wait(60) == actions


def test_a_key_whose_sequence_arrives_in_parts_is_one_key(pipe, keyboard, monkeypatch):
    monkeypatch.setattr(raw_terminal, "_SEQUENCE_SECONDS", 60)
    parts = [b"\x1b", b"[5", b"~"]
    with take_terminal(pipe) as terminal:
        keyboard.type(b"xyz")
        monkeypatch.setattr(
            os,
            "read",
            lambda fd, size: read(fd, 1) and parts.pop(0) if fd == keyboard.file.fileno() else read(fd, size),
        )
        assert terminal.wait(60) == ["page-up"]


def test_a_wait_ends_without_a_key_when_the_pipe_wakes_it_or_its_time_is_over(pipe, keyboard):
    with take_terminal(pipe) as terminal:
        pipe.wake()
        assert terminal.wait(60) == []
        assert terminal.wait(0) == []


def test_a_terminal_that_is_gone_is_not_read_again_and_is_no_error_at_the_end(pipe, keyboard):
    with take_terminal(pipe) as terminal:
        keyboard.unplug()
        terminal.wait(60)
        assert terminal.wait(0) == []


def test_an_unexpected_error_of_the_keyboard_is_raised(pipe, keyboard, monkeypatch):
    def fail(*_):
        raise OSError(errno.EBADF, "broken")

    with take_terminal(pipe) as terminal:
        keyboard.type(b"x")
        with monkeypatch.context() as patched:
            patched.setattr(os, "read", fail)
            with pytest.raises(OSError, match="broken"):
                terminal.wait(60)


@pytest.mark.parametrize("stdin", [None, io.StringIO()], ids=["closed", "not a terminal"])
def test_without_a_keyboard_only_the_pipe_is_waited_for(pipe, monkeypatch, capsys, stdin):
    monkeypatch.setattr(sys, "stdin", stdin)
    with take_terminal(pipe) as terminal:
        pipe.wake()
        assert terminal.wait(60) == []
    assert capsys.readouterr().out == ENTER + LEAVE


def test_a_resize_repaints(pipe, keyboard):
    with take_terminal(pipe) as terminal:
        os.kill(os.getpid(), signal.SIGWINCH)
        assert terminal.wait(60) == ["repaint"]


def test_ctrl_c_is_raised_by_the_wait(pipe, keyboard):
    with take_terminal(pipe) as terminal:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            terminal.wait(60)
    assert keyboard.is_sane


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_that_ends_the_process_does_so_after_the_terminal_was_given_back(
    pipe, keyboard, fatal_signals, number
):
    with take_terminal(pipe) as terminal:
        os.kill(os.getpid(), number)
        terminal.wait(60)
    assert fatal_signals == [number]
    assert keyboard.is_sane


def test_after_sigcont_the_terminal_is_taken_again(pipe, keyboard, capsys):
    with take_terminal(pipe) as terminal:
        os.kill(os.getpid(), signal.SIGCONT)
        assert terminal.wait(60) == ["repaint"]
    assert capsys.readouterr().out == ENTER + ENTER + LEAVE


def test_ctrl_z_stops_the_process_with_the_terminal_given_back(pipe, keyboard, capsys, monkeypatch):
    stops = []

    def stop(pid, number):
        stops.append((pid, number, signal.getsignal(number), keyboard.is_sane))

    with take_terminal(pipe) as terminal:
        os.kill(os.getpid(), signal.SIGTSTP)
        monkeypatch.setattr(os, "kill", stop)
        assert terminal.wait(60) == ["repaint"]
        assert not keyboard.is_sane
        assert signal.getsignal(signal.SIGTSTP) is not signal.SIG_DFL
    assert stops == [(os.getpid(), signal.SIGTSTP, signal.SIG_DFL, True)]
    assert capsys.readouterr().out == ENTER + LEAVE + ENTER + LEAVE


def test_handlers_of_signals_are_restored_and_an_ignored_signal_stays_ignored(pipe, keyboard):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        handlers = {number: signal.getsignal(number) for number in raw_terminal._HANDLED}
        with take_terminal(pipe):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            assert signal.getsignal(signal.SIGINT) is not handlers[signal.SIGINT]
        assert {number: signal.getsignal(number) for number in raw_terminal._HANDLED} == handlers
    finally:
        signal.signal(signal.SIGHUP, before)
    previous_fd = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(previous_fd)
    assert previous_fd != pipe.write_end


def failing(number, times):
    """`termios.tcsetattr`, which fails with this error at first."""
    original = termios.tcsetattr
    failures = [termios.error(number, os.strerror(number))] * times

    def set_modes(*arguments):
        if failures:
            raise failures.pop()
        original(*arguments)

    return set_modes


def test_setting_the_modes_is_repeated_after_an_interruption(pipe, keyboard, monkeypatch):
    monkeypatch.setattr(termios, "tcsetattr", failing(errno.EINTR, 2))
    Terminal(pipe).take()
    assert not keyboard.is_sane


def test_modes_that_cannot_be_set_are_an_error_when_the_terminal_is_taken(pipe, keyboard, monkeypatch):
    monkeypatch.setattr(termios, "tcsetattr", failing(errno.EIO, 1))
    with pytest.raises(termios.error):
        Terminal(pipe).take()
