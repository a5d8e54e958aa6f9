import msgspec
import pytest

from condord.cli.pager import READING_SECONDS, Pager
from condord.cli.screen import Screen
from condord.cli.table import Line, Table, document_table
from condord.cli.view import DEFAULT
from condord.live import wire
from condord.live.wire_condor import CondorJson
from tests.fakes import documents

SCREEN = Screen(width=60)
FOOT = ["totals", "live"]


def condors(*names):
    return [Line(name, f"{name} 0", f"{name} search", name) for name in names]


MANY = condors(*(f"C{number:02d}" for number in range(20)))
OTHERS = [Line(""), Line("IN NO CONDOR", "u 0", "IN NO CONDOR"), Line("AMD", "u 1", "AMD")]


def table(body=MANY, head=("CONDOR",)):
    return Table([*head], [*body], FOOT)


class Reader:
    """A person who presses keys and sees a terminal of 10 rows: a head, 6 lines, a bar, and a foot of 2."""

    def __init__(self, shown=None, height=10, screen=SCREEN):
        self.pager, self.table, self.height, self.screen = Pager(), shown or table(), height, screen
        self.redraw()

    def redraw(self):
        self.lines = self.pager.picture(self.table, self.screen, self.height)
        assert len(self.lines) <= self.height
        return self.lines

    def press(self, *keys, now=0.0):
        for key in keys:
            self.pager.press(key, now)
            self.redraw()
        return self

    @property
    def window(self):
        return self.lines[1:-3]

    @property
    def bar(self):
        return self.lines[-3].rstrip()


def test_a_table_that_fits_is_shown_as_it_is():
    assert Reader(table(MANY[:3])).lines == ["CONDOR", "C00", "C01", "C02", "", *FOOT]
    assert Reader(Table([], [Line("a", "0", "a")], [])).lines == ["a"]


def test_a_table_that_is_too_high_counts_what_is_hidden_below():
    reader = Reader(table([*MANY, *OTHERS]))
    assert reader.lines[0] == "CONDOR"
    assert reader.window == ["C00", "C01", "C02", "C03", "C04", "C05"]
    assert reader.bar == "14 condors, 2 lines below · arrows, page keys, / find, q …"
    assert reader.lines[-2:] == FOOT


@pytest.mark.parametrize(
    ("keys", "first", "bar"),
    [
        (["down"], "C01", "1 condor above, 13 condors below"),
        (["j", "j", "k"], "C01", "1 condor above, 13 condors below"),
        (["page-down"], "C05", "5 condors above, 9 condors below"),
        ([" ", "page-up"], "C00", "14 condors below"),
        (["end"], "C14", "14 condors above"),
        (["G", "down", "page-down"], "C14", "14 condors above"),
        (["G", "b", "up"], "C08", "8 condors above, 6 condors below"),
        (["end", "home", "up"], "C00", "14 condors below"),
        (["left", "é", "escape"], "C00", "14 condors below"),
    ],
)
def test_keys_scroll_within_the_table(keys, first, bar):
    reader = Reader().press(*keys)
    assert reader.window[0] == first
    assert len(reader.window) == 6
    assert reader.bar.startswith(f"{bar} · ")


def test_q_quits_but_not_while_a_text_is_typed():
    assert Reader().press("q").pager.should_quit
    assert not Reader().press("/", "q").pager.should_quit


def test_the_first_line_stays_when_rows_come_or_go_above_it():
    reader = Reader().press("page-down")
    reader.table = table(MANY[2:])
    reader.redraw()
    assert reader.window[0] == "C05"
    reader.table = table([*condors("new"), *MANY])
    reader.redraw()
    assert reader.window[0] == "C05"
    assert reader.bar.startswith("6 condors above")


def test_if_the_first_line_is_gone_the_scroll_position_stays():
    reader = Reader().press("page-down")
    reader.table = table([line for line in MANY if line.condor != "C05"])
    reader.redraw()
    assert reader.window[0] == "C06"
    reader.table = table(MANY[:7])
    reader.redraw()
    assert reader.window[-1] == "C06"


def test_rows_keep_their_order_while_the_table_is_scrolled_and_shortly_after_a_key():
    reader = Reader()
    assert not reader.pager.is_reading(0)
    assert reader.press("down", now=10).pager.is_reading(1000)
    reader.press("home", now=1000)
    assert reader.pager.is_reading(1000 + READING_SECONDS - 0.1)
    assert not reader.pager.is_reading(1000 + READING_SECONDS)
    reader.press("x", now=2000)
    assert not reader.pager.is_reading(2000)
    assert reader.press("/", now=2000).pager.is_reading(3000)


def test_find_goes_to_the_row_that_has_all_words_and_marks_it():
    reader = Reader(screen=Screen(width=60, colour=True)).press("/", *"SEARCH", " ", *"c12")
    assert reader.bar.startswith("\x1b[7m/SEARCH c12 ")
    reader.press("enter")
    assert "\x1b[7mC12\x1b[0m" in reader.window
    assert "1 of 1 found · 9 condors above, 5 condors below" in reader.bar


def test_condors_are_found_by_what_is_known_about_them_and_other_rows_by_their_words():
    names = ("C00", "C01")
    held = msgspec.convert(
        [documents.condor(name, daysToExpiration=days) for name, days in zip(names, (28, 5), strict=True)],
        list[CondorJson],
    )
    body = [
        Line(name, f"{name} 0", name, name, condor, severity)
        for name, condor, severity in zip(names, held, ("critical", None), strict=True)
    ]

    def found(text):
        reader = Reader(table([*body, *OTHERS]), screen=Screen(width=60, colour=True)).press("/", *text, "enter")
        return [line for line in ("C00", "C01", "AMD") if f"\x1b[7m{line}\x1b[0m" in reader.lines]

    assert [found(text) for text in ("5 days", "critical", "c0", "amd")] == [["C01"], ["C00"], [], ["AMD"]]


def test_n_and_capital_n_wrap_around():
    reader = Reader().press("/", *"c1", "enter")
    assert "1 of 10 found" in reader.bar
    assert "C10" in reader.window
    assert "2 of 10 found" in reader.press("n").bar
    assert "1 of 10 found" in reader.press("N").bar
    assert "10 of 10 found" in reader.press("N").bar
    assert reader.window[-1] == "C19"
    assert "1 of 10 found" in reader.press("n").bar


def test_an_empty_search_repeats_the_last_one_from_the_first_line_shown():
    reader = Reader().press("/", *"c0", "enter", "end", "/", "enter")
    assert "1 of 10 found" in reader.bar
    assert reader.window[0] == "C00"


def test_a_text_that_is_not_found_is_reported_until_the_next_key():
    reader = Reader().press("/", *"tsla", "enter")
    assert reader.bar.startswith("tsla is not found · ")
    assert reader.window[0] == "C00"
    assert reader.press("down").bar.startswith("1 condor above")
    assert Reader().press("n").bar.startswith("nothing to find")


def test_the_result_of_a_search_disappears_when_rows_come_or_go():
    for text, reported in (("tsla", "tsla is not found"), ("c0", "1 of 10 found")):
        reader = Reader().press("/", *text, "enter")
        assert reader.bar.startswith(reported)
        reader.redraw()
        assert reader.bar.startswith(reported)
        reader.table = table(condors(*(f"C{at:02}" for at in range(20)), "TSLA"))
        reader.redraw()
        assert "found" not in reader.bar


def test_a_typed_text_can_be_corrected_or_abandoned():
    reader = Reader().press("/", "a", "b", "backspace", "up")
    assert reader.bar == "/a"
    assert reader.press("erase").bar == "/"
    assert reader.press("x", "escape").bar.startswith("14 condors below")
    assert reader.press("/", "backspace").bar.startswith("14 condors below")


def test_a_search_in_a_table_that_fits_also_shows_its_bar():
    reader = Reader(table(MANY[:3])).press("/", *"c02", "enter")
    assert reader.bar == "1 of 1 found · arrows, page keys, / find, q quit"
    assert reader.window[:3] == ["C00", "C01", "C02"]


def test_on_a_narrow_terminal_the_lines_of_a_condor_scroll_together():
    body = [Line(f"C{at // 2} {at % 2}", f"C{at // 2} {at % 2}", "", f"C{at // 2}") for at in range(20)]
    assert Reader(table(body)).bar.startswith("7 condors below")


@pytest.mark.parametrize("height", [1, 2, 3, 4, 5])
def test_the_picture_fits_even_a_terminal_of_a_few_rows(height):
    Reader(height=height).press("down", "end", "/", "x", "enter", "home")


def test_a_long_foot_takes_half_of_the_height():
    foot = [f"notice {number}" for number in range(9)]
    reader = Reader(Table(["CONDOR"], MANY, foot))
    assert reader.lines[-5:] == foot[-5:]
    assert reader.lines[:4] == ["CONDOR", "C00", "C01", "C02"]


def test_a_line_that_is_too_wide_is_folded():
    reader = Reader(Table([], [Line("word " * 20, "0", "word")], []), screen=Screen(width=20))
    assert all(len(line) <= 20 for line in reader.lines)
    assert sum(line.count("word") for line in reader.lines) == 20


def test_the_broken_and_the_complete_units_of_a_condor_are_found_and_counted_separately():
    body = documents.document(broken=[documents.broken(documents.CONDOR_ID, A=0)])
    document = msgspec.convert(body, wire.Document)
    shown, now = DEFAULT.sorted(document), document.as_of
    wide = Screen(width=200, colour=True)
    reader = Reader(document_table(document, shown, now, wide, "", DEFAULT), height=30, screen=wide)
    reader.press("/", *"broken", "enter")
    painted = [line for line in reader.lines if line.startswith("\x1b[7m") and documents.CONDOR_ID in line]
    assert len(painted) == 1
    reader.height = 5
    reader.press("g")
    assert "2 condors" in reader.press("end").bar
