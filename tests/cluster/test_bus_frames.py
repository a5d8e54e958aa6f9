import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.cluster.bus_frames import FrameHead, ask_subject, fence_of, frames_subject, head_of, resume_subject

NUMBERS = st.integers(0, 10**15)
TEXTS = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)


@given(NUMBERS, TEXTS.filter(bool), TEXTS, st.none() | NUMBERS, TEXTS)
def test_headers_survive_encoding_and_decoding(fence, kind, version, base, leader):
    head = FrameHead(fence, kind, version, base, leader)
    assert head_of(head.headers()) == head


@given(st.dictionaries(st.sampled_from(["Fence", "Kind", "Version", "Base"]), TEXTS))
def test_any_headers_are_decoded_as_a_frame_or_ignored(headers):
    head = head_of(headers)
    assert head is None or head_of(head.headers()) == head
    assert head is None or head.number >= -1


def test_a_version_has_an_epoch_and_a_number():
    head = FrameHead(1, "delta", "a-b-17")
    assert (head.epoch, head.number) == ("a-b", 17)
    assert FrameHead(1, "heartbeat").number == FrameHead(1, "delta", "a-x").number == -1


@pytest.mark.parametrize("fence", ["", "-1", "1.0", "\u0661", "9" * 20])
def test_a_message_without_a_fence_is_not_a_frame(fence):
    assert head_of({"Fence": fence, "Kind": "delta"}) is None
    assert fence_of({"Fence": fence}) is None
    assert fence_of({"Fence": "12"}) == 12


def test_each_account_has_its_own_subjects():
    names = {name(account) for name in (ask_subject, frames_subject, resume_subject) for account in ("a", "b")}
    assert len(names) == 6
