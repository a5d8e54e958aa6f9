import asyncio
import json

import pytest

from condord.client import EventParser
from condord.http.app import build
from tests.http.asking import LEGS, Conversation, FakeDaemon, ask, tick

LEG = next(iter(LEGS))


def events(body: bytes):
    return EventParser().feed(body)


def follow(scene, path="/api/stream", **options):
    """Run `scene(daemon, conversation)` beside an open stream; the answer after it has ended."""

    async def play():
        daemon = options.pop("daemon", None) or FakeDaemon()
        conversation = Conversation(build(daemon), path, **options)
        streaming = asyncio.create_task(conversation.run())
        await conversation.answer.has(b"retry:")
        await scene(daemon, conversation)
        conversation.hang_up()
        async with asyncio.timeout(5):
            await streaming
        assert daemon.fanout.subscribers == 0
        return conversation.answer

    return asyncio.run(play())


async def nothing(_daemon, _conversation):
    pass


def test_a_stream_begins_with_the_document_and_the_time_to_reconnect():
    answer = follow(nothing)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"].startswith("no-cache")
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.body.startswith(b"retry: 2000\n\n")
    (first,) = events(answer.body)
    assert (first.name, first.id) == ("snapshot", "test-1")
    assert json.loads(first.data) == json.loads(json.dumps(ask(FakeDaemon(), "/api/positions").json()))


def test_a_quote_arrives_as_a_delta_with_whole_objects():
    async def scene(daemon, conversation):
        daemon.quote(tick(LEG, 1.0, 1.2))
        await conversation.answer.has(b"event: delta")

    _, delta = events(follow(scene).body)
    told = json.loads(delta.data)
    assert delta.id == "test-2"
    assert [(quote["symbol"], quote["bid"], quote["ask"], quote["mark"]) for quote in told["quotes"]] == [
        (LEG, 1, 1.2, 1.1)
    ]
    assert "status" not in told


def test_what_waited_while_a_send_was_under_way_is_joined_in_one_write():
    async def scene(daemon, conversation):
        daemon.quote(tick(LEG, 1.0, 1.2))
        daemon.quote(tick(LEG, 2.0, 2.2, 1))
        await conversation.answer.has(b"test-3")

    answer = follow(scene)
    assert len(answer.chunks) == 2
    assert [event.id for event in events(answer.chunks[1])] == ["test-2", "test-3"]


@pytest.mark.parametrize("way", ["header", "query"])
def test_a_known_last_event_id_gets_what_was_missed(way):
    daemon = FakeDaemon()
    daemon.quote(tick(LEG, 1.0, 1.2))
    path = "/api/stream" if way == "header" else "/api/stream?lastEventId=test-1"
    headers = {"Last-Event-ID": "test-1"} if way == "header" else {}
    (first,) = events(follow(nothing, path, daemon=daemon, headers=headers).body)
    assert (first.name, first.id) == ("delta", "test-2")


@pytest.mark.parametrize("version", ["other-1", "test-99", "test-", "", "test-٣", "x" * 500])
def test_an_unknown_last_event_id_gets_a_snapshot(version):
    (first,) = events(follow(nothing, headers={"Last-Event-ID": version.encode().decode("latin-1")}).body)
    assert first.name == "snapshot"


def test_a_filter_shows_only_what_was_asked_for():
    answer = follow(nothing, f"/api/stream?symbol={LEG}&symbol=NOSUCH")
    document = json.loads(events(answer.body)[0].data)
    assert [quote["symbol"] for quote in document["quotes"]] == [LEG]
    assert document["condors"] == document["unmatched"] == []
    assert document["totals"]["condors"] == 1


@pytest.mark.parametrize("interval", ["-1", "10001", "1.5", "x", "", "1e3", "٣"])
def test_an_interval_out_of_range_is_a_400_problem_that_names_it(interval):
    answer = ask(FakeDaemon(), f"/api/stream?interval={interval}")
    assert answer.status == 400
    assert "interval" in answer.json()["detail"]


def test_a_full_house_is_a_503_with_the_time_to_come_back():
    answer = ask(FakeDaemon(room=0), "/api/stream")
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) > 0


def test_a_head_request_ends_and_takes_no_place():
    daemon = FakeDaemon()
    answer = ask(daemon, "/api/stream", method="HEAD")
    assert (answer.status, answer.body, answer.is_complete) == (200, b"", True)
    assert daemon.fanout.subscribers == 0


def test_bye_is_the_last_event_and_ends_the_stream():
    async def scene(daemon, conversation):
        for subscriber in daemon.fanout.close("the daemon is stopping"):
            subscriber.wake()
        await conversation.answer.has(b"bye")

    answer = follow(scene)
    assert events(answer.body)[-1].name == "bye"
    assert answer.is_complete


def test_a_client_that_hangs_up_leaves_no_subscriber_behind():
    follow(nothing)
