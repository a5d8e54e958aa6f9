"""The bytes of a stream, on any server and on ours, plain and deflated."""

import asyncio
import json

import pytest
from starlette.datastructures import Headers

from condord.client.sse import EventParser
from condord.http.app import build
from condord.http.guard import Guard
from condord.http.interfaces import GuardSettings
from condord.http.stream_route import takes_gzip
from tests import virtualtime
from tests.http.fake_daemon import LEGS, BrokenFrame, FakeDaemon, ask, in_memory, on_our_server, tick

LEG = next(iter(LEGS))


@pytest.fixture(params=[in_memory, on_our_server], ids=["any server", "our server"])
def serve(request):
    return request.param


@pytest.fixture(params=["identity", "gzip"])
def coding(request):
    return request.param


@pytest.fixture
def follow(serve, coding):
    """Run `scenario(daemon, conversation)` beside an open stream; the answer after it has ended."""

    def run(scenario, path="/api/stream", *, daemon=None, headers=None, around=lambda app: app):
        async def main():
            served = daemon or FakeDaemon()
            async with serve(around(build(served))) as opened:
                conversation = opened(path, headers={"Accept-Encoding": coding, **(headers or {})})
                streaming = asyncio.create_task(conversation.run())
                await conversation.answer.has(b"retry:")
                await scenario(served, conversation)
                conversation.hang_up()
                async with asyncio.timeout(60):
                    await streaming
                await virtualtime.until(lambda: served.fanout.subscribers == 0)
                assert conversation.answer.headers.get("content-encoding", "identity") == coding
            assert [task for task in asyncio.all_tasks() if "_shutdown_watcher" not in repr(task)] == [
                asyncio.current_task()
            ]
            return conversation.answer

        return virtualtime.run(main())

    return run


@pytest.fixture
def answered(serve):
    """The answer to a request that ends."""

    def run(daemon, path, **request):
        async def scenario():
            async with serve(build(daemon)) as opened:
                return await opened(path, **request).run()

        return virtualtime.run(scenario())

    return run


def events(body: bytes):
    return EventParser().feed(body)


async def nothing(_daemon, _conversation):
    pass


def test_a_stream_begins_with_the_document_and_the_time_to_reconnect(follow):
    answer = follow(nothing)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache, no-transform"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.plain.startswith(b"retry: 2000\nevent: ")
    (first,) = events(answer.plain)
    assert (first.name, first.id) == ("snapshot", "test-1")
    assert json.loads(first.data) == ask(FakeDaemon(), "/api/positions").json()


def test_a_quote_arrives_as_a_delta_with_whole_objects(follow):
    async def scenario(daemon, conversation):
        daemon.quote(tick(LEG, 1.0, 1.2))
        await conversation.answer.has(b"event: delta")

    _, delta = events(follow(scenario).plain)
    changes = json.loads(delta.data)
    assert delta.id == "test-2"
    assert [(quote["symbol"], quote["bid"], quote["ask"], quote["mark"]) for quote in changes["quotes"]] == [
        (LEG, 1, 1.2, 1.1)
    ]
    assert "status" not in changes


def test_each_event_can_be_read_before_the_next_one_comes(follow):
    async def scenario(daemon, conversation):
        for number in range(5):
            daemon.quote(tick(LEG, 1.0 + number, 1.2 + number, number / 10))
            await conversation.answer.has(b"id: test-%d\n" % (2 + number))

    assert [event.id for event in events(follow(scenario).plain)] == [f"test-{number}" for number in range(1, 7)]


def test_a_heartbeat_comes_through(follow):
    async def scenario(daemon, conversation):
        for subscriber in daemon.fanout.heartbeat(daemon.document().as_of):
            subscriber.wake()
        await conversation.answer.has(b"event: heartbeat")

    assert [event.name for event in events(follow(scenario).plain)] == ["snapshot", "heartbeat"]


@pytest.mark.parametrize("place", ["header", "query"])
def test_a_known_last_event_id_gets_the_events_that_were_missed(follow, place):
    daemon = FakeDaemon()
    daemon.quote(tick(LEG, 1.0, 1.2))
    path = "/api/stream" if place == "header" else "/api/stream?lastEventId=test-1"
    headers = {"Last-Event-ID": "test-1"} if place == "header" else {}
    (first,) = events(follow(nothing, path, daemon=daemon, headers=headers).plain)
    assert (first.name, first.id) == ("delta", "test-2")


@pytest.mark.parametrize("version", ["other-1", "test-", "", "test-٣", "x" * 500])
def test_an_unknown_last_event_id_gets_a_snapshot(follow, version):
    (first,) = events(follow(nothing, headers={"Last-Event-ID": version.encode().decode("latin-1")}).plain)
    assert first.name == "snapshot"


def test_a_client_whose_last_event_id_is_ahead_waits_and_continues_with_a_delta(follow):
    daemon = FakeDaemon()

    def around(app):
        asyncio.get_running_loop().call_later(1.0, daemon.quote, tick(LEG, 1.0, 1.2))
        return app

    found = events(follow(nothing, daemon=daemon, headers={"Last-Event-ID": "test-2"}, around=around).plain)
    assert [(event.name, event.id) for event in found] == [("delta", "test-2")]


@pytest.mark.parametrize(
    "heartbeat", ["0.4", "10.5", "x", "", "-1", "1e2", "1e999", "1e", "1_0", "nan", "inf", "%D9%A3"]
)
def test_a_heartbeat_out_of_range_is_a_400_problem_that_names_it(answered, heartbeat):
    answer = answered(FakeDaemon(), f"/api/stream?heartbeat={heartbeat}")
    assert answer.status == 400
    assert answer.json()["detail"] == "heartbeat must be a number of seconds from 0.5 to 10"


@pytest.mark.parametrize(
    ("query", "seconds"),
    [
        ("", None),
        ("?heartbeat=0.5", 0.5),
        ("?heartbeat=10", 10.0),
        ("?heartbeat=3.141592653589793e0", 3.141592653589793),
    ],
)
def test_a_client_may_ask_for_more_frequent_heartbeats(follow, query, seconds):
    daemon = FakeDaemon()
    follow(nothing, f"/api/stream{query}", daemon=daemon)
    assert daemon.heartbeats_asked == [seconds]


def test_a_filter_by_symbol_shows_only_its_quotes_and_condors(follow):
    answer = follow(nothing, f"/api/stream?symbol={LEG}&symbol=NOSUCH")
    document = json.loads(events(answer.plain)[0].data)
    assert [quote["symbol"] for quote in document["quotes"]] == [LEG]
    assert document["condors"] == document["unmatched"] == []
    assert document["totals"]["condors"] == 1


def test_bye_is_the_last_event_and_ends_the_stream(follow):
    async def scenario(daemon, conversation):
        daemon.stop()
        await conversation.answer.has(b"bye")

    answer = follow(scenario)
    assert events(answer.plain)[-1].name == "bye"
    assert answer.is_complete


def test_a_client_that_hangs_up_leaves_no_subscriber_behind(follow):
    follow(nothing)


def test_a_page_of_an_allowed_origin_may_read_the_stream(follow):
    settings = GuardSettings(knows_host=lambda name: True, origins=frozenset(["http://page.test"]), token=None)
    answer = follow(nothing, headers={"Origin": "http://page.test"}, around=lambda app: Guard(app, settings))
    assert answer.headers["access-control-allow-origin"] == "http://page.test"
    assert {part.strip() for part in answer.headers["vary"].split(",")} == {"Accept-Encoding", "Origin"}


def test_a_daemon_that_does_not_compress_sends_frames_as_they_are(serve):
    async def scenario():
        daemon = FakeDaemon()
        daemon.compresses = False
        async with serve(build(daemon)) as opened:
            conversation = opened("/api/stream", headers={"Accept-Encoding": "gzip"})
            streaming = asyncio.create_task(conversation.run())
            await conversation.answer.has(b"event: snapshot")
            conversation.hang_up()
            await streaming
        assert "content-encoding" not in conversation.answer.headers
        assert conversation.answer.body.startswith(b"retry:")

    virtualtime.run(scenario())


@pytest.mark.parametrize("interval", ["-1", "10001", "1.5", "x", "", "1e3", "%D9%A3"])
def test_an_interval_out_of_range_is_a_400_problem_that_names_it(answered, interval):
    answer = answered(FakeDaemon(), f"/api/stream?interval={interval}")
    assert answer.status == 400
    assert "interval" in answer.json()["detail"]


def test_beyond_the_subscriber_limit_a_stream_gets_503_with_the_time_to_come_back(answered):
    answer = answered(FakeDaemon(room=0), "/api/stream")
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) > 0


def test_of_many_simultaneous_clients_only_as_many_as_the_limit_are_admitted(serve):
    async def scenario():
        daemon = FakeDaemon(room=5)
        async with serve(build(daemon)) as opened:
            conversations = [opened("/api/stream") for _ in range(20)]
            streaming = [asyncio.create_task(each.run()) for each in conversations]
            await virtualtime.until(lambda: all(each.answer.status for each in conversations))
            assert sorted(each.answer.status for each in conversations) == [200] * 5 + [503] * 15
            assert daemon.fanout.subscribers == 5
            daemon.stop()
            await asyncio.gather(*streaming)
            assert daemon.fanout.subscribers == 0

    virtualtime.run(scenario())


def test_a_head_request_ends_and_takes_no_place(answered):
    daemon = FakeDaemon()
    answer = answered(daemon, "/api/stream", method="HEAD")
    assert (answer.status, answer.body, answer.is_complete) == (200, b"", True)
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert "content-length" not in answer.headers
    assert daemon.opened == []


def test_a_bug_in_one_stream_ends_only_that_stream(serve, caplog):
    async def scenario():
        daemon = FakeDaemon()
        async with serve(build(daemon)) as opened:
            conversations = [opened("/api/stream") for _ in range(2)]
            streaming = [asyncio.create_task(each.run()) for each in conversations]
            for each in conversations:
                await each.answer.has(b"event: snapshot")
            daemon.opened[0].ring.append(BrokenFrame())
            daemon.quote(tick(LEG, 1.0, 1.2))
            await conversations[1].answer.has(b"event: delta")
            await virtualtime.until(lambda: daemon.fanout.subscribers == 1)
            daemon.stop()
            results = await asyncio.gather(*streaming, return_exceptions=True)
            assert isinstance(results[0], RuntimeError) or not conversations[0].answer.is_complete
            assert conversations[1].answer.is_complete

    virtualtime.run(scenario())


def test_the_bytes_that_leave_are_counted(follow, serve):
    daemon = FakeDaemon()

    async def scenario(served, conversation):
        served.stop()
        await virtualtime.until(lambda: conversation.answer.is_complete)

    answer = follow(scenario, daemon=daemon)
    framing = sum(len(b"%x\r\n\r\n" % len(chunk)) for chunk in answer.chunks) if serve is on_our_server else 0
    assert daemon.sent_bytes == len(answer.body) + framing > 0


def test_frames_that_arrive_during_a_send_are_joined_in_the_next():
    async def scenario():
        daemon = FakeDaemon()
        async with in_memory(build(daemon)) as opened:
            conversation = opened("/api/stream")
            streaming = asyncio.create_task(conversation.run())
            await conversation.answer.has(b"event: snapshot")
            daemon.quote(tick(LEG, 1.0, 1.2))
            daemon.quote(tick(LEG, 2.0, 2.2, 1))
            await conversation.answer.has(b"test-3")
            conversation.hang_up()
            await streaming
        assert [event.id for event in events(conversation.answer.chunks[1])] == ["test-2", "test-3"]

    virtualtime.run(scenario())


def test_a_server_that_takes_nothing_for_30_s_loses_the_stream():
    async def scenario():
        daemon = FakeDaemon()
        async with in_memory(build(daemon)) as opened:
            conversation = opened("/api/stream")
            conversation.stall()
            begin = asyncio.get_running_loop().time()
            with pytest.raises(TimeoutError):
                await conversation.run()
            assert asyncio.get_running_loop().time() - begin == pytest.approx(30.0)
        assert (daemon.evicted, daemon.fanout.subscribers) == (1, 0)

    virtualtime.run(scenario())


@pytest.mark.parametrize(
    ("offered", "is_taken"),
    [
        ([], False),
        ([""], False),
        (["gzip"], True),
        (["GZip"], True),
        (["gzip, deflate, br, zstd"], True),
        (["deflate, br"], False),
        (["x-gzip"], True),
        (["identity"], False),
        (["br", "gzip"], True),
        (["gzip;q=0.5"], True),
        (["gzip ; q=0.001 "], True),
        (["gzip;\tQ=1"], True),
        (["gzip;q=1.000"], True),
        (["gzip;q=0"], False),
        (["gzip; q=0.000"], False),
        (["gzip;q="], False),
        (["gzip;q =0"], False),
        (["gzip;q=abc"], False),
        (["gzip;level=9"], False),
        (["*"], True),
        (["*;q=0"], False),
        (["br, *;q=0.1"], True),
        (["*, gzip;q=0"], False),
        (["gzip;q=0, *"], False),
        (["identity;q=1, *;q=0"], False),
        (["gzip, *;q=0"], True),
    ],
)
def test_gzip_is_only_for_clients_that_accept_it(offered, is_taken):
    raw = [(b"accept-encoding", value.encode()) for value in offered]
    assert takes_gzip(Headers(raw=raw)) == is_taken
