import pytest

from condord.cli.row_notes import RowNote, fitted, full_text, good_width, vital_width

OLD = RowNote(("price unconfirmed", "unconfirmed", "old"), vital="unconfirmed")
TESTED = RowNote(("put tested", "tested"), vital="tested", is_in_columns=True)
CLOSING = RowNote(("closing order",))
NOTES = [OLD, TESTED, CLOSING]


@pytest.mark.parametrize(
    ("room", "text"),
    [
        (None, "price unconfirmed, put tested, closing order"),
        (44, "price unconfirmed, put tested, closing order"),
        (43, "price unconfirmed, tested, closing order"),
        (34, "unconfirmed, tested, closing order"),
        (33, "price unconfirmed, put tested"),
        (25, "price unconfirmed, tested"),
        (19, "unconfirmed, tested"),
        (18, "old, put tested"),
        (11, "old, tested"),
        (10, "old"),
        (3, "old"),
        (2, ""),
        (-1, ""),
    ],
)
def test_notes_that_are_not_vital_are_left_out_first_and_the_first_ones_are_the_longest(room, text):
    assert ", ".join(fitted(NOTES, room).beside) == text


@pytest.mark.parametrize(
    ("room", "beside", "below", "are_all"),
    [
        (None, "price unconfirmed, loss may be more, put tested, closing order", "", True),
        (31, "old, more, put tested, closing", "", True),
        (18, "old, more, closing", "", False),
        (12, "old, more", "closing order", False),
        (3, "old", "loss may be more, closing order", False),
        (2, "", "price unconfirmed, loss may be more, closing order", False),
    ],
)
def test_a_vital_note_without_room_is_below_the_row_unless_a_column_shows_the_same(room, beside, below, are_all):
    more = RowNote(("loss may be more", "more"), vital="loss may be more")
    found = fitted([OLD, more, TESTED, RowNote(("closing order", "closing"), vital="closing")], room)
    assert (", ".join(found.beside), ", ".join(found.below), found.are_all) == (beside, below, are_all)


def test_possible_widths_fit_vital_notes_and_complete_short_ones():
    assert (vital_width(NOTES), good_width(NOTES)) == (len("unconfirmed, tested"), len("price unconfirmed"))
    assert (vital_width([CLOSING]), good_width([CLOSING])) == (0, len("closing order"))
    assert (vital_width([]), good_width([]), full_text([])) == (0, 0, "")


def test_wide_letters_count_as_two_columns():
    assert fitted([RowNote(("\u65e5\u672c",))], 3).beside == []
