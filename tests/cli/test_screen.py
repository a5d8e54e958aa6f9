import os
import re
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.cli.screen import Screen, can_paint, folded, plain, screen, spelled, visible_width
from tests.fakes import documents
from tests.fakes.daemon import json, serving


def test_a_pipe_has_no_colour_and_no_width_unless_it_is_given(capsys):
    assert screen({"TERM": "xterm"}) == Screen(width=None, colour=False)
    assert screen({"COLUMNS": "80"}) == Screen(width=80, colour=False)
    assert screen({"COLUMNS": "wide"}) == screen({"COLUMNS": "0"}) == Screen()


@pytest.mark.parametrize(
    ("environ", "colour"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
    ],
)
def test_a_terminal_has_colour_unless_it_is_not_wanted(terminal, environ, colour):
    assert screen(environ) == Screen(width=100, colour=colour)


def test_paint_is_the_text_itself_without_colour():
    assert Screen(colour=True).paint("up", "good") == "\x1b[32mup\x1b[0m"
    assert Screen(colour=True).paint("up", "") == "up"
    assert Screen(colour=False).paint("up", "good") == "up"


def test_plain_text_cannot_move_the_cursor():
    assert plain("a\x1b[2Jb\r\nc\u202ed—é") == "a [2Jb  c d—é"


def test_a_dumb_terminal_and_a_pipe_cannot_be_painted_upon(terminal):
    assert can_paint({"TERM": "xterm"})
    assert can_paint({})
    assert not can_paint({"TERM": "dumb"})


def test_a_pipe_cannot_be_painted_upon(capsys):
    assert not can_paint({"TERM": "xterm"})


def test_colours_take_no_room_and_wide_letters_two_columns():
    assert visible_width("\x1b[1mSPY\x1b[0m 1") == 5
    assert visible_width("—…") == 2
    assert visible_width("日本") == 4


def test_what_fits_is_not_folded():
    lines = ["  one  two ", "\x1b[31mthree\x1b[0m"]
    assert folded(lines, 11) == folded(lines, None) == lines


def test_what_is_too_wide_is_folded_between_words_and_keeps_its_colour():
    assert folded(["one two", "\x1b[31mthree four\x1b[0m"], 6) == [
        "one",
        "two",
        "\x1b[31mthree \x1b[0m",
        "\x1b[31mfour\x1b[0m",
    ]


WORDS = st.lists(st.sampled_from(["+230.00", "1,530.00", "P/L", "—", "live"]), min_size=1, max_size=12)


@pytest.mark.slow
@given(WORDS, st.integers(min_value=8, max_value=40))
def test_nothing_is_lost_broken_or_too_wide_where_a_word_has_room(words, width):
    lines = folded([" ".join(words)], width)
    assert " ".join(lines).split() == words
    assert all(visible_width(line) <= width for line in lines)


def test_signs_that_an_encoding_lacks_are_spelled_in_ascii():
    assert spelled("— · …", "utf-8") == "— · …".encode()
    assert spelled("— · … é", "ascii") == b"- | ... ?"
    assert spelled("é —", "latin-1") == b"\xe9 -"
    assert spelled("é ·", "latin-1") == b"\xe9 \xb7"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environ", "sign"),
    [
        ({"LANG": "C.UTF-8"}, "—"),
        ({"LC_ALL": "C"}, "-"),
        ({"LC_ALL": "POSIX", "LANG": "C.UTF-8"}, "-"),
        ({"LANG": "C"}, "-"),
        ({"LANG": "C", "LC_CTYPE": "C.utf8"}, "—"),
        ({"LANG": "C", "PYTHONIOENCODING": "utf-8"}, "—"),
        ({"LANG": "C.UTF-8", "PYTHONIOENCODING": "latin-1"}, "-"),
        ({}, "—"),
    ],
)
def test_the_dash_is_one_that_the_locale_has(environ, sign):
    value = documents.valuation(mark=None, natural=None)
    with serving() as fake:
        fake.answers["/api/positions"] = json(documents.document(condors=[documents.condor(valuation=value)]))
        done = subprocess.run(
            [sys.executable, "-m", "condord", "positions", "--url", fake.url],
            capture_output=True, timeout=30, env={"PATH": os.environ["PATH"], **environ},
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    row = done.stdout.decode().splitlines()[1]
    assert re.search(rf"2\.35 +{sign} +{sign}  ", row)
