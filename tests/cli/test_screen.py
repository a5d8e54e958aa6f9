import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from condord.cli.screen import (
    Screen,
    can_paint,
    folded,
    joined,
    plain,
    screen,
    shortened,
    visible_width,
    without_colour,
)  # fmt: skip


def test_a_pipe_has_no_colour_and_only_the_width_of_the_variable_columns(capsys):
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
def test_a_terminal_has_colour_unless_it_is_dumb_or_no_color_is_set(terminal, environ, colour):
    assert screen(environ) == Screen(width=100, colour=colour)


def test_without_colour_paint_returns_the_text():
    assert Screen(colour=True).paint("up", "good") == "\x1b[32mup\x1b[0m"
    assert Screen(colour=True).paint("up", "") == "up"
    assert Screen(colour=False).paint("up", "good") == "up"


def test_plain_text_cannot_move_the_cursor():
    assert plain("a\x1b[2Jb\r\nc\u202ed—é") == "a [2Jb  c d—é"


def test_a_dumb_terminal_cannot_be_painted(terminal):
    assert can_paint({"TERM": "xterm"})
    assert can_paint({})
    assert not can_paint({"TERM": "dumb"})


def test_a_pipe_cannot_be_painted(capsys):
    assert not can_paint({"TERM": "xterm"})


def test_colours_take_no_room_and_wide_letters_two_columns():
    assert visible_width("\x1b[1mSPY\x1b[0m 1") == 5
    assert visible_width("—…") == 2
    assert visible_width("日本") == 4


def test_lines_that_fit_are_unchanged():
    lines = ["  one  two ", "\x1b[31mthree\x1b[0m"]
    assert folded(lines, 11) == folded(lines, None) == lines


def test_a_wide_line_is_folded_between_words_and_keeps_its_colour():
    assert folded(["one two", "\x1b[31mthree four\x1b[0m"], 6) == [
        "one",
        "two",
        "\x1b[31mthree \x1b[0m",
        "\x1b[31mfour\x1b[0m",
    ]


WORDS = st.lists(st.sampled_from(["+230.00", "1,530.00", "P/L", "—", "live"]), min_size=1, max_size=12)


@pytest.mark.slow
@given(WORDS, st.integers(min_value=8, max_value=40))
def test_folding_keeps_every_word_whole_and_every_line_within_the_width(words, width):
    lines = folded([" ".join(words)], width)
    assert " ".join(lines).split() == words
    assert all(visible_width(line) <= width for line in lines)


def test_parts_are_joined_on_as_few_lines_as_fit_without_breaking_one():
    parts = ["three condors", "P/L 5.00", "a part wider than the screen"]
    assert joined(parts, Screen()) == ["three condors · P/L 5.00 · a part wider than the screen"]
    assert joined(parts, Screen(width=24)) == ["three condors · P/L 5.00", "a part wider than the screen"]
    assert joined(parts, Screen(width=23)) == parts


def test_our_own_characters_beyond_ascii_are_one_column_each():
    assert visible_width("\x1b[31ma…b·c—\x1b[0m") == 6
    assert visible_width("日本") == 4


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [
        ("put tested, old", None, "put tested, old"),
        ("put tested, old", 15, "put tested, old"),
        ("put tested, old", 14, "put tested …"),
        ("put tested, old", 6, "put …"),
        ("put tested, old", 2, "p…"),
        ("incomplete: no", 8, "incompl…"),
        ("may liquidate from", 15, "may liquidate …"),
        ("may liquidate from", 14, "may …"),
        ("日本 日本", 7, "日本 …"),
    ],
)
def test_a_text_is_shortened_between_two_words(text, width, shown):
    assert shortened(text, width) == shown


@given(st.text(max_size=30).map(plain), st.integers(1, 30))
@example("0000㉐ 0", 7)  # wide letters
def test_a_shortened_text_is_never_too_wide(text, width):
    assert visible_width(shortened(text, width)) <= width


def test_colours_can_be_removed():
    assert without_colour("\x1b[1;31m◆ SPY\x1b[0m 1") == "◆ SPY 1"
