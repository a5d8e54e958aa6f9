import asyncio

import pytest

from condord.cluster import questions as module
from condord.cluster.questions import COPY_SECONDS, MAX_COPIED_BYTES, MAX_COPIES, Questions
from condord.errors import Unavailable
from tests.virtualtime import run

from .fakes import FakeSource, answer

JSON = "Content-Type: application/json"
TRADES = answer(200, b"[1]", JSON, "Cache-Control: no-cache", "Server: other")


class Harness:
    def __init__(self, source):
        self.source = source
        self.is_lost = False
        self.refused = []
        self.questions = Questions(
            source.settings(),
            name="the source http://a",
            is_lost=lambda: self.is_lost,
            refused=self.refused.append,
            now=asyncio.get_running_loop().time,
        )

    async def ask(self, target="/api/trades", method="GET"):
        return await self.questions.ask(method, target)


def run_scenario(scenario, *scripts):
    async def main():
        async with FakeSource(*scripts) as source:
            await scenario(Harness(source))

    run(main())


def test_an_answer_is_passed_back_with_its_status_and_the_headers_that_belong_to_it():
    async def scenario(harness):
        found = await harness.ask("/api/trades?from=2026-11-20")
        assert found == (200, {"content-type": "application/json", "cache-control": "no-cache"}, b"[1]")
        assert harness.source.heads[0].startswith("GET /api/trades?from=2026-11-20 HTTP/1.1")
        found = await harness.ask("/api/channels/x/test", "POST")
        assert (found.status, found.headers) == (429, {"retry-after": "7"})
        assert harness.source.heads[1].startswith("POST /api/channels/x/test HTTP/1.1")
        assert "Content-Length: 0" in harness.source.heads[1]

    run_scenario(scenario, [TRADES], [answer(429, b"", "Retry-After: 7")])


def test_an_uncached_question_is_never_answered_by_a_copy():
    async def scenario(harness):
        found = await harness.questions.ask_now("/metrics", "text/plain")
        assert found.body == b"[1]"
        assert "Accept: text/plain" in harness.source.heads[0]
        with pytest.raises(Unavailable, match=r"^the source http://a does not answer: "):
            await harness.questions.ask_now("/metrics")
        harness.is_lost = True
        with pytest.raises(Unavailable, match=r"^the source http://a is lost$"):
            await harness.questions.ask_now("/metrics")

    run_scenario(scenario, [TRADES], [])


def test_while_the_source_is_lost_a_copy_of_the_last_minute_answers_reads():
    async def scenario(harness):
        found = await harness.ask()
        harness.is_lost = True
        await asyncio.sleep(COPY_SECONDS - 1)
        assert await harness.ask() == found
        await asyncio.sleep(2)
        with pytest.raises(Unavailable, match=r"^the source http://a is lost$"):
            await harness.ask()
        assert harness.source.connections == 1

    run_scenario(scenario, [TRADES])


@pytest.mark.parametrize(("method", "target"), [("POST", "/api/trades"), ("GET", "/api/other")])
def test_nothing_else_is_answered_by_a_copy(method, target):
    async def scenario(harness):
        await harness.ask()
        harness.is_lost = True
        with pytest.raises(Unavailable):
            await harness.ask(target, method)

    run_scenario(scenario, [TRADES])


def test_a_post_drops_the_copies_that_it_may_have_outdated():
    async def scenario(harness):
        for target in ("/api/alerts", "/api/alerts?a=b", "/api/alerts.csv"):
            await harness.ask(target)
        await harness.ask("/api/alerts/x:y/acknowledge", "POST")
        harness.is_lost = True
        assert (await harness.ask("/api/alerts.csv")).body == b"[1]"
        for target in ("/api/alerts", "/api/alerts?a=b"):
            with pytest.raises(Unavailable):
                await harness.ask(target)

    run_scenario(scenario, *[[TRADES]] * 3, [answer(204, b"")])


def test_the_error_of_a_post_without_an_answer_states_whether_it_may_have_been_carried_out():
    async def scenario(harness):
        await harness.ask("/api/alerts")
        with pytest.raises(
            Unavailable, match=r"^the source http://a does not answer: .*; it is not known whether it was"
        ):
            await harness.ask("/api/alerts/x/acknowledge", "POST")
        harness.is_lost = True
        with pytest.raises(Unavailable, match=r"^the source http://a is lost$"):
            await harness.ask("/api/alerts")  # the copy may be outdated
        with pytest.raises(Unavailable, match=r"^the source http://a is lost; it was not carried out$"):
            await harness.ask("/api/alerts/x/acknowledge", "POST")

    run_scenario(scenario, [TRADES], [60.0])


def test_a_post_that_cannot_be_sent_was_not_carried_out():
    async def scenario(harness):
        await harness.source.__aexit__()
        with pytest.raises(Unavailable, match=r"cannot be reached: .*; it was not carried out$"):
            await harness.ask("/api/refresh", "POST")

    run_scenario(scenario)


def test_a_copy_answers_for_a_source_that_does_not_answer_in_time():
    async def scenario(harness):
        found = await harness.ask()
        assert await harness.ask() == found
        with pytest.raises(Unavailable, match=r"^the source http://a does not answer: nothing has come for 10 s"):
            await harness.ask("/api/alerts")

    run_scenario(scenario, [TRADES], [60.0])


@pytest.mark.parametrize("script", [answer(404, b"no", JSON), answer(200, b"x" * (MAX_COPIED_BYTES + 1), JSON)])
def test_errors_and_long_answers_are_not_kept(script):
    async def scenario(harness):
        await harness.ask()
        harness.is_lost = True
        with pytest.raises(Unavailable):
            await harness.ask()

    run_scenario(scenario, [script])


def test_the_oldest_copies_are_dropped():
    async def scenario(harness):
        for number in range(MAX_COPIES + 1):
            await harness.ask(f"/api/trades?{number}")
        harness.is_lost = True
        with pytest.raises(Unavailable):
            await harness.ask("/api/trades?0")
        assert (await harness.ask("/api/trades?1")).body == b"[1]"

    run_scenario(scenario, [TRADES])


def test_a_refused_token_is_reported():
    async def scenario(harness):
        with pytest.raises(Unavailable, match="refuses the token"):
            await harness.ask()
        assert [error.code for error in harness.refused] == ["refused"]

    run_scenario(scenario, [answer(401)])


def test_the_number_of_open_questions_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "AT_ONCE", 2)

    async def scenario(harness):
        asking = [asyncio.create_task(harness.ask(f"/api/trades?{number}")) for number in range(4)]
        await asyncio.sleep(0.5)
        assert harness.source.connections == 2
        await asyncio.gather(*asking)
        assert harness.source.connections == 4

    run_scenario(scenario, [1.0, TRADES])
