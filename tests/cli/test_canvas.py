from hypothesis import given
from hypothesis import strategies as st

from condord.cli.canvas import ENTER, LEAVE, Canvas
from tests.fakes.terminal import Picture

WIDTH, HEIGHT = 12, 5
LINES = st.lists(st.text("ab1 ", max_size=WIDTH).map(lambda text: text.replace("b", "\x1b[32mb\x1b[0m")), max_size=8)


def test_the_first_picture_erases_the_screen_and_the_next_sends_only_changed_lines():
    canvas = Canvas()
    assert canvas.paint(["one", "two"], WIDTH, HEIGHT) == (
        "\x1b[?2026h\x1b[H\x1b[2J\x1b[1;1Hone\x1b[K\x1b[2;1Htwo\x1b[K\x1b[?2026l"
    )
    assert canvas.paint(["one", "2"], WIDTH, HEIGHT) == "\x1b[?2026h\x1b[2;1H2\x1b[K\x1b[?2026l"


def test_an_unchanged_picture_sends_nothing():
    canvas = Canvas()
    canvas.paint(["one"], WIDTH, HEIGHT)
    assert canvas.paint(["one"], WIDTH, HEIGHT) == ""


def test_after_forget_the_whole_picture_is_painted():
    canvas = Canvas()
    first = canvas.paint(["one"], WIDTH, HEIGHT)
    canvas.forget()
    assert canvas.paint(["one"], WIDTH, HEIGHT) == first


def test_leave_restores_the_terminal_and_what_it_showed():
    picture = Picture(WIDTH, HEIGHT)
    picture.feed("before")
    picture.feed(ENTER)
    assert picture.modes == {"1049": True, "25": False, "7": False, "2026": False}
    picture.feed(Canvas().paint(["table"], WIDTH, HEIGHT))
    picture.feed(LEAVE)
    assert picture.is_sane
    assert picture.rows[0] == "before"


@given(st.lists(st.one_of(LINES, st.none()), max_size=8))
def test_the_terminal_shows_every_picture_after_any_other(pictures):
    canvas, picture = Canvas(), Picture(WIDTH, HEIGHT)
    picture.feed(ENTER)
    for lines in pictures:
        if lines is None:
            picture.feed("\x1b[1;1Hanother program")
            canvas.forget()
            continue
        picture.feed(canvas.paint(lines, WIDTH, HEIGHT))
        bare = [line.replace("\x1b[32m", "").replace("\x1b[0m", "").rstrip() for line in lines[:HEIGHT]]
        assert picture.rows == bare + [""] * (HEIGHT - len(bare))
