import pytest

from condord.cli.screen import Screen, plain, screen


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
