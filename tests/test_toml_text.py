import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord import toml_text


def told(text):
    """The keys and lines of everything that was read, and the lines of the faults."""
    read = toml_text.read(text)
    keys = {f"{entry.section}.{entry.key}".rstrip("."): entry.line for entry in read.entries}
    return keys, [fault.line for fault in read.faults]


def test_each_section_and_each_key_has_its_line():
    assert told("a = 1\n[s]\n# k = 2\nk = 1\n\n[ t ]\n'q' = 1\n") == (
        {"a": 1, "s": 2, "s.k": 4, "t": 6, "t.q": 7},
        [],
    )


def test_dotted_keys_and_subtables_have_lines_too():
    assert told("s.k = 1\n[t.u]\nx = 1\n")[0] == {"s": 1, "s.k": 1, "t": 2, "t.u": 2}


@pytest.mark.parametrize(
    "broken", ["b =", "b = True", "b = 9:00", 'b = "x', "b = [x]", "b = 'x' 'y'", "b c = 1", "b = 08"]
)
def test_a_broken_value_is_told_and_the_rest_is_read_all_the_same(broken):
    assert told(f"[s]\na = 1\n{broken}\nc = 3\n") == ({"s": 1, "s.a": 2, "s.c": 4}, [3])


def test_several_broken_lines_are_all_told():
    assert told("[s]\na = x\nb = 1\nc = y\nd = 08\n") == ({"s": 1, "s.b": 3}, [2, 4, 5])


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[s\na = x\n", 1),
        ("[s]\na = [1\nb = x\n", 3),
        ('[s]\na = """x\nb = x\n', 4),
        ("[s]\nword\nb = x\n", 2),
        ("[s]\na = [\n x,\n]\nb = y\n", 3),
        ("a = " + "[" * 5000, 1),
        ("[s]\na = 1\nb = " + "[" * 5000 + "]" * 5000 + "\nc = 1\n", 3),
        ("[s]\na = 1\nb = " + "9" * 5000 + "\nc = x\n", 3),
    ],
)
def test_where_nobody_knows_what_was_meant_the_first_fault_is_the_last(text, line):
    assert told(text) == ({}, [line])


def test_what_stands_twice_is_told_with_the_line_of_the_first():
    assert toml_text.read("[s]\na = 1\nb = 2\na = 3\n").faults == ((4, "s.a", "s.a stands on line 2 already"),)
    assert toml_text.read("[s]\na = 1\n[s]\n").faults == ((3, "", "s stands on line 1 already"),)
    assert toml_text.read("[s]\na = 1\na = 3").faults == ((3, "s.a", "s.a stands on line 2 already"),)


def test_what_is_in_a_table_that_stands_there_twice_is_read():
    text = toml_text.read("[s]\na = 1\n[s] # again\nb = 2\n[t]\nc = 3\n[s]\na = x\n")
    assert [fault.line for fault in text.faults] == [3, 7, 8]
    assert [(entry.line, entry.section, entry.key) for entry in text.entries if entry.key] == [
        (2, "s", "a"),
        (4, "s", "b"),
        (6, "t", "c"),
    ]


def test_a_fault_names_the_key_that_was_left_out_for_it():
    assert [fault.name for fault in toml_text.read("[s]\na = x\nb = [\n").faults] == ["s.a", ""]


@pytest.mark.parametrize(("value", "said"), [("{a=" * 5000, "brackets"), ("[-" + "1" * 5000 + "]", "digits")])
def test_what_python_refuses_is_told_in_our_words(value, said):
    (fault,) = toml_text.read(f"[s]\na = {value}\n").faults
    assert said in fault.sentence
    assert "recursion" not in fault.sentence
    assert "sys." not in fault.sentence


def test_of_brackets_that_span_lines_the_line_is_told_on_which_they_are_too_many():
    (fault,) = toml_text.read("a = [\n" + "[\n" * 5000).faults
    assert 100 < fault.line < 1000


def test_a_text_of_many_keys_is_read_in_a_moment():
    """Were the time to grow with the square of the keys, this would take minutes."""
    text = toml_text.read("[s]\n" + "".join(f"k{number} = 1\n" for number in range(20_000)))
    assert text.entries[-1].line == 20_001


def test_there_is_an_end_of_telling():
    assert len(toml_text.read("a = x\n" * 100).faults) == toml_text.MOST_FAULTS


def test_lines_that_end_as_on_windows_are_counted_as_well():
    assert told("[s]\r\na = x\r\nb = 1\r\n") == ({"s": 1, "s.b": 3}, [2])


fragments = st.sampled_from(["[", "]", "s", "k", "=", "1", "\n", "\r\n", '"', "'", '"""', "#", ".", ",", "{", "}", "é"])


@given(st.text() | st.lists(fragments).map("".join))
def test_any_text_is_read_as_tomllib_reads_it_or_has_faults_on_its_lines(text):
    read = toml_text.read(text)
    count = text.count("\n") + 1
    assert all(0 < fault.line <= count for fault in read.faults)
    assert all(0 <= entry.line <= count for entry in read.entries)
    try:
        parsed = tomllib.loads(text)
    except (ValueError, RecursionError):
        assert read.faults
    else:
        assert not read.faults
        assert [entry.section for entry in read.entries if not entry.key] == list(parsed)
