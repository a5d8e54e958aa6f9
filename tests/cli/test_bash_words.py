import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.cli.bash_words import environment, joined, shortened


@pytest.mark.parametrize(
    ("pieces", "current", "words", "at"),
    [
        (["condord", "alerts"], 1, ["condord", "alerts"], 1),
        (["condord", "x", ""], 2, ["condord", "x", ""], 2),
        (["condord", "ack", "half", ":"], 3, ["condord", "ack", "half:"], 2),
        (["condord", "ack", "half", ":", "SPY"], 4, ["condord", "ack", "half:SPY"], 2),
        (["condord", "--url", "http", ":", "//[", "::", "1]", ":", "80", ""], 9, ["condord", "--url", "http://[::1]:80", ""], 3),
        (["condord", "half", ":", ""], 3, ["condord", "half:", ""], 2),
        (["condord"], 1, ["condord"], 1),
    ],
)  # fmt: skip
def test_pieces_around_a_colon_are_one_word(pieces, current, words, at):
    assert joined(pieces, current) == (words, at)


def split(word):
    """The pieces of a word as bash makes them."""
    pieces = []
    for letter in word:
        if pieces and (letter == ":") == (pieces[-1][-1] == ":"):
            pieces[-1] += letter
        else:
            pieces.append(letter)
    return pieces


@given(st.lists(st.text("ab:", min_size=1), min_size=1, max_size=5).filter(lambda words: ":" not in (words[0] + "".join(word[0] + word[-1] for word in words))))  # fmt: skip
def test_words_that_bash_splits_are_joined_again(words):
    pieces = [piece for word in words for piece in split(word)]
    assert joined(pieces, len(pieces) - 1) == (words, len(words) - 1)


def test_completions_leave_out_the_part_before_the_last_colon():
    environ = environment({"COMP_WORDS": "condord\nack\nhalf\n:\nSP", "COMP_CWORD": "4"})
    assert environ == {"COMP_WORDS": "condord\nack\nhalf:SP", "COMP_CWORD": "2"}
    assert shortened("half:SPY-1\nhalf:SPY-2\n", environ) == "SPY-1\nSPY-2\n"
    environ = environment({"COMP_WORDS": "condord\nack\nh", "COMP_CWORD": "2"})
    assert shortened("half:SPY-1\n", environ) == "half:SPY-1\n"
