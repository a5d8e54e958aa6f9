import re

import pytest

from tests.e2e.screens import GUIDE, SCREENS, with_screen


@pytest.mark.parametrize("name", SCREENS)
def test_the_guide_has_every_screen_in_its_size_with_one_line_a_condor(name):
    width, height, command = SCREENS[name]
    found = re.search(rf"<!-- screen {name} -->\n\n```text\n(.*?)```\n", GUIDE.read_text(), re.DOTALL)
    lines = found[1].splitlines()
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    assert lines[0].startswith("CONDOR ") or "--watch" in command
    condors = [line for line in lines if re.match(r"[◆■● ] [A-Z0-9]+-\d{6}-", line)]
    assert len(condors) > 5
    assert all(re.search(r"  [+-][\d,]+\.\d\d", line) for line in condors)


def test_a_screen_replaces_the_one_that_has_its_name():
    text = "a\n<!-- screen x -->\n\n```text\nold\n```\n<!-- screen y -->\n\n```text\n1\n```\n"
    assert with_screen(text, "x", [r"new \1"]) == text.replace("old", r"new \1")
    with pytest.raises(AssertionError, match="no place for the screen z"):
        with_screen(text, "z", [])
