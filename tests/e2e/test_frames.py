"""The stream of the real daemon, byte by byte and minute by minute."""

import http.client
import json
from contextlib import ExitStack, closing

import pytest

from condord.live.frames import MAX_LINE_BYTES
from tests.e2e.environs import QUICK, UNPACED
from tests.e2e.preloaded import replaced
from tests.e2e.running import Condord, Follower, closing_program, settled, until

pytestmark = pytest.mark.slow

MINUTE = 6


def first_block(url: str, **headers: str) -> list[bytes]:
    """The lines of the first block of a stream."""
    with closing(http.client.HTTPConnection(url.removeprefix("http://"), timeout=60)) as link:
        link.request("GET", "/api/stream", headers=headers)
        answer = link.getresponse()
        received = b""
        while b"\n\n" not in received:
            received += answer.read1(65_536)
        return received.partition(b"\n\n")[0].split(b"\n")


def test_the_first_block_contains_retry_the_reason_and_the_event(condord):
    new = first_block(condord.url)
    lost = first_block(condord.url, **{"Last-Event-ID": "other-1"})

    def resumed():
        """The daemon has just started and still reads its positions, which causes a snapshot."""
        block = first_block(condord.url, **{"Last-Event-ID": condord.document()["version"]})
        return block if b"event: delta" in block else None

    back = until(resumed, "a stream that resumes")
    assert new[:2] == [b"retry: 2000", b"event: snapshot"]
    assert lost[:3] == [b"retry: 2000", b": resync, unknownEpoch", b"event: snapshot"]
    assert back[:2] == [b"retry: 2000", b"event: delta"]
    for block in (new, lost, back):
        data = [line.removeprefix(b"data: ") for line in block if line.startswith(b"data: ")]
        assert json.loads(b"\n".join(data))["status"]["state"] == "live"
        assert max(map(len, block)) < MAX_LINE_BYTES


@pytest.fixture
def short_minutes(simulated):
    """A daemon whose minutes have six seconds; tests/live/test_recording.py has real ones."""
    environ = {**QUICK, **replaced(**UNPACED, live__recording__STEP_SECONDS=MINUTE)}
    with closing_program(Condord(simulated, **environ)) as program:
        program.await_state("live")
        program.await_priced()
        yield program


def test_a_delta_appends_each_minute_for_every_subscriber_of_the_condor(short_minutes):
    identity = short_minutes.document()["condors"][0]["id"]
    queries = ("", f"?condor={identity}", "?interval=2000")
    with ExitStack() as stack:
        followers = [
            stack.enter_context(closing(Follower(short_minutes.url, f"/api/stream{query}"))) for query in queries
        ]

        def have_minutes():
            return all(
                any(event.name == "delta" and '"history":' in event.data for event in follower.events.copy())
                for follower in followers
            )

        until(have_minutes, "the end of a minute", timeout=150.0, pause=0.1)
        lines = [
            held["history"] for follower in followers for held in follower.document["condors"] if held["id"] == identity
        ]
        assert all(line == lines[0] for line in lines)
        assert lines[0]["seconds"]
        assert all(second % MINUTE == 0 for second in lines[0]["seconds"])

        def check():
            document = short_minutes.document()
            mine = followers[0].documents.get(document["version"])
            return mine is not None and (settled(mine), settled(document))

        mine, theirs = until(check, "a version that both have")
        assert mine == theirs
