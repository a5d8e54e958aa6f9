from hypothesis import given
from hypothesis import strategies as st

from condord.cli.canvas import GIVE_BACK, TAKE, Canvas
from tests.fakes.terminal import Picture

WIDTH, HEIGHT = 12, 5
LINES = st.lists(st.text("ab1 ", max_size=WIDTH).map(lambda text: text.replace("b", "\x1b[32mb\x1b[0m")), max_size=8)


def test_the_first_picture_wipes_what_stood_there_and_the_next_sends_only_what_changed():
    canvas = Canvas()
    assert canvas.paint(["one", "two"], WIDTH, HEIGHT) == (
        "\x1b[?2026h\x1b[H\x1b[2J\x1b[1;1Hone\x1b[K\x1b[2;1Htwo\x1b[K\x1b[?2026l"
    )
    assert canvas.paint(["one", "2"], WIDTH, HEIGHT) == "\x1b[?2026h\x1b[2;1H2\x1b[K\x1b[?2026l"


def test_the_same_picture_again_sends_nothing():
    canvas = Canvas()
    canvas.paint(["one"], WIDTH, HEIGHT)
    assert canvas.paint(["one"], WIDTH, HEIGHT) == ""


def test_what_is_forgotten_is_painted_again():
    canvas = Canvas()
    first = canvas.paint(["one"], WIDTH, HEIGHT)
    canvas.forget()
    assert canvas.paint(["one"], WIDTH, HEIGHT) == first


def test_a_taken_terminal_is_sane_when_it_is_given_back():
    picture = Picture(WIDTH, HEIGHT)
    picture.feed("before")
    picture.feed(TAKE)
    assert picture.modes == {"1049": True, "25": False, "7": False, "2026": False}
    picture.feed(Canvas().paint(["table"], WIDTH, HEIGHT))
    picture.feed(GIVE_BACK)
    assert picture.is_sane
    assert picture.rows[0] == "before"


@given(st.lists(st.one_of(LINES, st.none()), max_size=8))
def test_after_every_picture_the_terminal_shows_it(pictures):
    canvas, picture = Canvas(), Picture(WIDTH, HEIGHT)
    picture.feed(TAKE)
    for lines in pictures:
        if lines is None:
            picture.feed("\x1b[1;1Hsomebody else")
            canvas.forget()
            continue
        picture.feed(canvas.paint(lines, WIDTH, HEIGHT))
        bare = [line.replace("\x1b[32m", "").replace("\x1b[0m", "").rstrip() for line in lines[:HEIGHT]]
        assert picture.rows == bare + [""] * (HEIGHT - len(bare))
