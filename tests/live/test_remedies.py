import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.live.remedies import FORBIDDEN_REMEDY, LOST_REMEDIES, sentence, split_loss, split_remedy, with_remedy

REMEDIES = ("check the key", "stop it; it can take a while")


def test_a_sentence_ends_with_the_remedy():
    assert with_remedy("the key is wrong", "check the key") == "the key is wrong; check the key"


def test_a_remedy_by_itself_is_a_sentence():
    assert sentence("check the key of NATS") == "Check the key of NATS."


def test_no_remedy_is_no_sentence():
    assert sentence("") == ""


@pytest.mark.parametrize(
    ("reason", "code", "found"),
    [
        ("it is gone", "busLost", ("it is gone", LOST_REMEDIES["busLost"])),
        (f"it is forbidden; {FORBIDDEN_REMEDY}", "busLost", ("it is forbidden", FORBIDDEN_REMEDY)),
        (f"it is forbidden; {FORBIDDEN_REMEDY}", None, ("it is forbidden", FORBIDDEN_REMEDY)),
        ("it is quiet", None, ("it is quiet", "")),
    ],
)
def test_the_remedy_for_a_loss_follows_its_cause_or_else_its_code(reason, code, found):
    assert split_loss(reason, code) == found


def test_a_code_that_resolves_by_itself_has_no_remedy():
    assert with_remedy("the market is quiet", "") == "the market is quiet"


@pytest.mark.parametrize("remedy", REMEDIES)
def test_a_known_remedy_is_split_off(remedy):
    assert split_remedy(f"the key is wrong; {remedy}", REMEDIES) == ("the key is wrong", remedy)


@given(st.text(max_size=20), st.sampled_from(REMEDIES))
def test_a_sentence_is_split_into_the_text_and_the_remedy(text, remedy):
    assert split_remedy(with_remedy(text, remedy), REMEDIES) == (text, remedy)


@pytest.mark.parametrize("sentence", ["", "check the key", "it is away; nobody knows why", "it says: check the key"])
def test_a_sentence_without_a_known_remedy_is_left_as_it_is(sentence):
    assert split_remedy(sentence, REMEDIES) == (sentence, "")
