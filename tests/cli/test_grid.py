import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.cli.grid import Cell, grid, grid_width, lay_out
from condord.cli.row_notes import RowNote
from condord.cli.screen import Screen

PIPE = Screen()
TEXT = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=12)


def rows(*texts):
    return [[Cell(text) for text in row] for row in texts]


def test_names_are_aligned_left_and_numbers_right():
    assert grid("NAME| N", rows(["a", "1", ""], ["bcdefg", "10", ""]), PIPE) == [
        "NAME     N",
        "a        1",
        "bcdefg  10",
    ]


def test_a_note_is_beside_its_row_or_below_it():
    row = rows(["a", "1", "much to say about it"])
    assert grid("NAME| N", row, PIPE)[1:] == ["a     1  much to say about it"]
    assert grid("NAME| N", row, Screen(width=26))[1:] == ["a     1", "    much to say about it"]


def test_each_row_can_have_a_line_above_it():
    assert grid(" N", rows(["1", ""], ["2", ""]), PIPE, ["first", "second"]) == ["  N", "first", "  1", "second", "  2"]


def test_a_table_without_rows_is_its_heading():
    assert grid("NAME| N", [], PIPE) == ["NAME  N"]


def test_colour_takes_no_room():
    painted = grid("NAME| N", [[Cell("a", "bad"), Cell("1", "good"), Cell("x", "warn")]], Screen(colour=True))
    assert painted[1] == "\x1b[31ma\x1b[0m     \x1b[32m1\x1b[0m  \x1b[33mx\x1b[0m"


def test_columns_that_do_not_fit_are_left_out_and_named():
    row = rows(["abc", "1,000.00", "+2.00", ""])
    assert grid("NAME| MARK| P/L", row, Screen(width=21), spare=["MARK"]) == [
        "NAME      MARK    P/L",
        "abc   1,000.00  +2.00",
    ]
    assert grid("NAME| MARK| P/L", row, Screen(width=20), spare=["MARK", "NAME"]) == [
        "NAME    P/L",
        "abc   +2.00",
        "too narrow for MARK",
    ]


def test_columns_can_be_left_out_to_keep_a_note_beside_its_row():
    row = rows(["abc", "1,000.00", "+2.00", "old"])
    wide, narrow = Screen(width=26), Screen(width=25)
    assert grid("NAME| MARK| P/L", row, wide, spare=["MARK"], for_notes=["MARK"])[1] == "abc   1,000.00  +2.00  old"
    assert grid("NAME| MARK| P/L", row, narrow, spare=["MARK"])[1:] == ["abc   1,000.00  +2.00", "    old"]
    assert grid("NAME| MARK| P/L", row, narrow, spare=["MARK"], for_notes=["MARK"]) == [
        "NAME    P/L",
        "abc   +2.00  old",
        "too narrow for MARK",
    ]


def test_a_width_can_leave_columns_out():
    row = rows(["abc", "1,000.00", "+2.00", "old"])
    assert grid_width("NAME| MARK| P/L", row) == 21
    assert grid_width("NAME| MARK| P/L", row, without=["MARK"]) == 11


def test_a_column_that_must_stay_is_never_cut():
    lines = grid("NAME| P/L", rows(["abc", "+1,000,000.00", ""]), Screen(width=5), spare=["NAME"])
    assert lines[1] == "+1,000,000.00"


def test_wide_letters_count_as_two_columns():
    assert grid("NAME| N", rows(["日本", "1", ""], ["abcd", "2", ""]), PIPE)[1:] == ["日本  1", "abcd  2"]


@pytest.mark.slow
@given(st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1))
def test_every_row_is_as_wide_as_the_table(texts):
    cells = rows(*texts)
    lines = grid("A| B", cells, PIPE)
    width = grid_width("A| B", cells)
    for line, (name, number, note) in zip(lines[1:], texts, strict=True):
        assert line.startswith(name)
        assert line[:width].endswith(number)
        assert line[width:] == f"  {note}"


TESTED = RowNote(("put tested", "tested"), vital="tested", is_in_columns=True)
CLOSING = RowNote(("closing order",))


@pytest.mark.parametrize(
    ("width", "note"),
    [
        (34, "  put tested, closing order"),
        (33, "  tested, closing order"),
        (29, "  put tested"),
        (17, "  tested"),
        (14, ""),
    ],
)
def test_notes_on_one_line_are_shortened_and_those_without_room_are_named(width, note):
    found = lay_out("NAME| N", rows(["A", "5", ""]), Screen(width=width), on_one_line=[[TESTED, CLOSING]])
    assert found.rows == [[f"A     5{note}"]]
    assert " ".join(found.left_out) == ("" if width > 29 else "too narrow for some notes")


def test_a_vital_note_that_does_not_fit_is_below_its_row():
    vital = RowNote(("closing order", "closing"), vital="closing")
    cells = rows(["A", "5", ""], ["B", "6", ""])
    found = lay_out("NAME| N", cells, Screen(width=16), on_one_line=[[TESTED, vital], []])
    assert found.rows == [["A     5  closing"], ["B     6"]]
    assert " ".join(found.left_out) == "too narrow for some notes"
    found = lay_out("NAME| N", cells, Screen(width=15), on_one_line=[[vital], []])
    assert found.rows == [["A     5", "    closing order"], ["B     6"]]
    assert found.left_out == []


def test_columns_make_room_for_vital_notes_and_some_columns_for_the_first_note():
    cells = rows(["A", "1,000.00", "5.00", ""])

    def headings(width, *notes):
        screen, spare = Screen(width=width), ("MARK", "N")
        return lay_out("NAME| MARK| N", cells, screen, (), spare, ("MARK",), on_one_line=[notes]).title.split()

    assert headings(35, CLOSING) == ["NAME", "MARK", "N"]
    assert headings(34, CLOSING) == ["NAME", "N"]
    assert headings(12, CLOSING) == ["NAME", "N"]
    assert headings(18, TESTED) == ["NAME", "N"]
    assert headings(17, TESTED) == ["NAME"]
