import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.config import toml_text
from condord.config.toml_text import BrokenToml


def lines_of(text):
    """The line of every section and key."""
    return {f"{entry.section}.{entry.key}".rstrip("."): entry.line for entry in toml_text.read(text)}


def broken(text):
    """The line and the reason of the first fault."""
    with pytest.raises(BrokenToml) as caught:
        toml_text.read(text)
    return caught.value.line, caught.value.reason


def test_each_section_and_each_key_has_its_line():
    text = "a = 1\n[s]\n# k = 2\nk = 1\n\n[ t ]\n'q' = 1\n"
    assert lines_of(text) == {"a": 1, "s": 2, "s.k": 4, "t": 6, "t.q": 7}


def test_dotted_keys_and_subtables_have_lines_too():
    assert lines_of("s.k = 1\n[t.u]\nx = 1\n") == {"s": 1, "s.k": 1, "t": 2, "t.u": 2}


def elements_of(text):
    """The line of every element of an array, and of its keys."""
    entries = [entry for entry in toml_text.read(text) if entry.element is not None]
    return [(entry.line, entry.element, entry.key) for entry in entries]


def test_each_table_of_an_array_and_each_of_its_keys_has_its_line():
    text = "[[a]]\nk = 1\n\n[s]\nk = 1\n[[ a ]]\n# k = 2\nj = 1\nk = 1\n[[a]]\n"
    assert elements_of(text) == [(1, 0, ""), (2, 0, "k"), (6, 1, ""), (8, 1, "j"), (9, 1, "k"), (10, 2, "")]


def test_tables_below_those_of_an_array_do_not_shift_its_lines():
    text = "[[a]]\n[[a.b]]\nx = 1\n[[a.b]]\n[[a]]\nk = 1\n"
    assert elements_of(text) == [(1, 0, ""), (2, 0, "b"), (5, 1, ""), (6, 1, "k")]


def test_tables_of_an_array_without_headers_have_the_line_of_the_array():
    assert elements_of("x = 1\na = [{k = 1}, 2]\nk = 1\n") == [(2, 0, ""), (2, 0, "k"), (2, 1, "")]


@pytest.mark.parametrize(
    "line",
    ["b =", "b = True", "b = 9:00", 'b = "x', "b = [x]", "b = 'x' 'y'", "b c = 1", "b = 08", "word", "[t"],
)
def test_a_fault_has_the_line_on_which_it_is(line):
    assert broken(f"[s]\na = 1\n{line}\nc = 3\n")[0] == 3


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[s\na = x\n", 1),
        ("[s]\na = x\nb = 1\nc = y\nd = 08\n", 2),
        ("[s]\na = [1\nb = x\n", 3),
        ('[s]\na = """x\nb = x\n', 4),
        ("[s]\na = [\n x,\n]\nb = y\n", 3),
        ("a = " + "[" * 5000, 1),
        ("[s]\na = 1\nb = " + "[" * 5000 + "]" * 5000 + "\nc = 1\n", 3),
        ("[s]\na = 1\nb = " + "9" * 5000 + "\nc = 1\n", 3),
    ],
)
def test_the_first_of_several_faults_is_reported(text, line):
    assert broken(text)[0] == line


def test_a_key_or_section_given_twice_is_reported_with_the_line_of_the_first():
    assert broken("[s]\na = 1\nb = 2\na = 3\n") == (4, "s.a is already on line 2")
    assert broken("[s]\na = 1\n[s]\n") == (3, "s is already on line 1")
    assert broken("[s]\na = 1\na = 3") == (3, "s.a is already on line 2")


@pytest.mark.parametrize(("value", "reason"), [("{a=" * 5000, "brackets"), ("[-" + "1" * 5000 + "]", "digits")])
def test_a_value_that_python_cannot_hold_is_reported_in_the_terms_of_toml(value, reason):
    _, text = broken(f"[s]\na = {value}\n")
    assert reason in text
    assert "recursion" not in text
    assert "sys." not in text


def test_brackets_nested_too_deeply_are_reported_on_the_line_of_the_first_one_too_many():
    assert 100 < broken("a = [\n" + "[\n" * 5000)[0] < 1000


def test_a_text_of_many_keys_is_read_in_a_moment():
    """If the time grew with the square of the number of keys, this would take minutes."""
    entries = toml_text.read("[s]\n" + "".join(f"k{number} = 1\n" for number in range(20_000)))
    assert entries[-1].line == 20_001


def test_lines_that_end_as_on_windows_are_counted_as_well():
    assert lines_of("[s]\r\na = 1\r\nb = 1\r\n") == {"s": 1, "s.a": 2, "s.b": 3}
    assert broken("[s]\r\na = x\r\nb = 1\r\n")[0] == 2


fragments = st.sampled_from(["[", "]", "s", "k", "=", "1", "\n", "\r\n", '"', "'", '"""', "#", ".", ",", "{", "}", "é"])


@given(st.text() | st.lists(fragments).map("".join))
def test_any_text_is_read_as_tomllib_reads_it_or_has_a_fault_on_one_of_its_lines(text):
    count = text.count("\n") + 1
    try:
        parsed = tomllib.loads(text)
    except (ValueError, RecursionError):
        assert 0 < broken(text)[0] <= count
    else:
        entries = toml_text.read(text)
        assert all(0 <= entry.line <= count for entry in entries)
        assert [entry.section for entry in entries if not entry.key and entry.element is None] == list(parsed)
