import os
import signal
import sys

import pytest

from condord.cli import taken
from tests.fakes import documents
from tests.fakes.daemon import HOLD, serving
from tests.fakes.terminal import condord, running

SNAPSHOT = b"retry: 1\n\n" + documents.frame("snapshot", documents.document(), "k-1")

pytestmark = pytest.mark.slow


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


def test_ctrl_c_leaves_the_terminal_sane_and_the_last_table_on_it(watching):
    watching.type("\x03")
    assert watching.ended() == 130
    assert watching.picture.is_sane
    assert watching.echoes()
    assert any("1,530.00" in row for row in watching.picture.rows)


def test_q_ends_it_and_that_is_0(watching):
    watching.type("xq")
    assert watching.ended() == 0
    assert watching.picture.is_sane
    assert watching.echoes()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_after_the_terminal_was_given_back(watching, number):
    watching.process.send_signal(number)
    assert watching.ended() == -number
    assert watching.picture.is_sane
    assert watching.echoes()


def test_keys_do_not_stand_in_the_picture_and_ctrl_l_paints_it_anew(watching):
    before = watching.picture.rows
    watching.type("hello\r\r")
    watching.type("\x0c")
    watching.until(lambda program: program.said.count("\x1b[2J") == 2)
    watching.until(lambda program: not program.picture.modes["2026"])
    assert [row[:20] for row in watching.picture.rows[:4]] == [row[:20] for row in before[:4]]
    assert not any("hello" in row for row in watching.picture.rows)


def test_a_resize_paints_the_table_for_the_new_size(watching):
    watching.resize(140, 30)
    watching.until_shown("CONDOR  ")
    watching.until_shown("newest message")
    watching.resize(50, 12)
    watching.until_shown("newest message")
    assert not any(len(row) > 50 for row in watching.picture.rows)


def test_ctrl_z_gives_the_terminal_to_the_shell_and_fg_takes_it_again(url):
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
        shell.ended()


def test_a_stop_that_nobody_can_catch_is_made_good_when_it_goes_on(watching):
    watching.process.send_signal(signal.SIGSTOP)
    watching.process.send_signal(signal.SIGCONT)
    watching.until(lambda program: program.said.count("\x1b[?1049h") == 2)
    watching.until_shown("newest message")


def test_a_terminal_that_is_gone_ends_it(url):
    with condord("positions", "--watch", "--url", url) as program:
        program.until_shown("newest message")
        program.hang_up()
        assert program.process.wait(20) == -signal.SIGHUP


def test_a_hang_up_that_is_to_be_ignored_is(url):
    ignoring = f"trap '' HUP; exec {sys.executable} -m condord positions --watch --url {url}"
    with running("sh", "-c", ignoring) as program:
        program.until_shown("newest message")
        program.process.send_signal(signal.SIGHUP)
        program.type("q")
        assert program.ended() == 0


def test_a_bell_is_heard_once_however_often_it_rang():
    bell = taken.Bell()
    assert bell.heard() == set()
    for _ in range(100_000):  # more than a pipe holds
        bell.ring()
    assert bell.heard() == {0}
    os.close(bell.hearing)
    os.close(bell.ringing)
