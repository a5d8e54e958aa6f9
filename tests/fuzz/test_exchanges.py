import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from condord.upstream.rest_fault import RestFault
from condord.upstream.sockets import MAX_UNSENT_BYTES
from tests.fuzz.damage import spliced
from tests.fuzz.exchanges import ANSWERS, FRAMES, NAMES, PINGS, check_exchange, check_frames, exchanged

GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"


@pytest.mark.parametrize("name", NAMES)
def test_a_valid_response_is_read(name):
    assert list(exchanged(name, GOOD)) == []


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer[:40])
@pytest.mark.parametrize("index", range(len(NAMES)))
def test_any_response_of_a_hostile_host_gives_a_result_an_error_or_a_fault(answer, index):
    read = check_exchange(bytes([index]) + answer)
    status = int(answer[9:12]) if answer else 0
    if status not in (100, 200):
        assert isinstance(read, requests.Response if 400 <= status < 600 else RestFault)


@pytest.mark.slow
@given(st.sampled_from(ANSWERS).flatmap(spliced), st.integers(0, 255))
def test_any_damaged_response_gives_a_result_an_error_or_a_fault(answer, index):
    check_exchange(bytes([index]) + answer)


@pytest.mark.slow
@given(st.binary(max_size=300))
def test_any_bytes_give_a_result_an_error_or_a_fault(data):
    check_exchange(data)


@pytest.mark.parametrize("frames", FRAMES, ids=lambda frames: frames[:8].hex())
def test_no_frames_queue_more_bytes_than_the_limit(frames):
    check_frames(frames)


@pytest.mark.slow
@given(st.sampled_from(FRAMES).flatmap(spliced) | st.binary(min_size=1, max_size=300))
def test_no_damaged_frames_queue_more_bytes_than_the_limit(frames):
    check_frames(frames)


def test_a_flood_of_pings_is_cut_off_at_the_limit():
    assert check_frames(PINGS * 4096) > MAX_UNSENT_BYTES
