import asyncio

import pytest

from condord.cluster import bus_questions
from condord.cluster.bus_questions import AT_ONCE, MAX_BYTES, BusQuestions
from condord.cluster.interfaces import Answer
from condord.cluster.questions import NotAnswered
from condord.errors import Unavailable

from .leader import ACCOUNT, Leader, working
from .nats_server import eventually, running


class Harness:
    """A leader with a written `answer`, and one who asks; `asked` has the questions."""

    def __init__(self, server):
        self.server = server
        self.asked = []
        self.answers = {}
        self.gate = None
        self.at_once = self.max_at_once = 0
        self.lost = None
        self.fence = 1
        self.now = 0.0
        self.leader = Leader(server.bus(), answer=self.answer)
        self.bus = server.bus()
        self.questions = BusQuestions(
            self.bus,
            account=lambda: ACCOUNT,
            fence=lambda: self.fence,
            lost=lambda: self.lost,
            now=lambda: self.now,
        )

    async def answer(self, method, target):
        self.asked.append((method, target))
        self.at_once += 1
        self.max_at_once = max(self.max_at_once, self.at_once)
        try:
            if self.gate is not None:
                await self.gate.wait()
            found = self.answers.get(target, Answer(200, {"content-type": "text/plain", "etag": '"a\u00e9"'}, b"yes"))
            if isinstance(found, Exception):
                raise found
            return found
        finally:
            self.at_once -= 1


def run_scenario(nats_server, scenario, **options):
    async def main():
        harness = Harness(nats_server(**options))
        async with working(harness.leader), running(harness.bus):
            harness.leader.begin()
            # The leader has subscribed once it has answered.
            await eventually(lambda: harness.questions.ask("GET", "/first"))
            harness.asked.clear()
            await scenario(harness)

    asyncio.run(main())


async def unavailable(harness, method="GET", target="/x"):
    with pytest.raises(Unavailable) as caught:
        await harness.questions.ask(method, target)
    assert caught.value.hint
    return str(caught.value)


def test_the_answer_of_the_leader_is_passed_back_unchanged(nats_server):
    async def scenario(harness):
        harness.answers["/csv?a=b%20c"] = Answer(
            404, {"content-disposition": 'attachment; filename="x"'}, b"\x00\xff\r\n"
        )
        assert await harness.questions.ask("GET", "/csv?a=b%20c") == harness.answers["/csv?a=b%20c"]
        assert await harness.questions.ask("POST", "/y") == Answer(
            200, {"content-type": "text/plain", "etag": '"a\u00e9"'}, b"yes"
        )
        assert harness.asked == [("GET", "/csv?a=b%20c"), ("POST", "/y")]

    run_scenario(nats_server, scenario)


def test_while_the_leader_is_lost_a_copy_of_the_last_minute_stands_in_for_a_get(nats_server):
    async def scenario(harness):
        kept = await harness.questions.ask("GET", "/x")
        await harness.questions.ask("POST", "/x")
        harness.lost = "the leader on the bus"
        harness.now = 60.0
        assert await harness.questions.ask("GET", "/x") == kept
        undone = "is lost; it was not carried out"
        assert await unavailable(harness, "POST") == f"the leader on the bus {harness.bus.urls} {undone}"
        harness.now = 60.1
        assert await unavailable(harness) == f"the leader on the bus {harness.bus.urls} is lost"
        harness.lost = "the bus"
        assert await unavailable(harness, "POST") == f"the bus {harness.bus.urls} {undone}"

    run_scenario(nats_server, scenario)


def test_the_error_of_a_post_without_an_answer_states_whether_it_may_have_been_carried_out(nats_server, monkeypatch):
    certain, uncertain = "; it was not carried out", "; it is not known whether it was carried out"

    async def scenario(harness):
        nobody = BusQuestions(harness.bus, account=lambda: "none", fence=lambda: 0, lost=lambda: None, now=lambda: 0.0)
        with pytest.raises(Unavailable) as raised:
            await nobody.ask("POST", "/x")
        assert str(raised.value) == f"the leader does not answer: nobody answers on the bus{certain}"
        monkeypatch.setattr(bus_questions, "ANSWER_SECONDS", 0.3)
        harness.gate = asyncio.Event()  # the leader hangs
        assert (await unavailable(harness, "POST")).endswith(uncertain)
        harness.gate.set()
        monkeypatch.undo()
        for is_not_executed, outcome in ((True, certain), (False, uncertain)):
            harness.answers["/x"] = NotAnswered("POST", "its maker is gone", is_not_executed=is_not_executed)
            assert await unavailable(harness, "POST") == f"the leader does not answer: its maker is gone{outcome}"
        harness.answers["/x"] = Unavailable("it is closed", "")
        assert await unavailable(harness, "POST") == f"the leader does not answer: it is closed{uncertain}"
        assert await unavailable(harness) == "the leader does not answer: it is closed"

    run_scenario(nats_server, scenario)


def test_only_a_few_questions_are_open_at_once_and_the_rest_wait(nats_server):
    async def scenario(harness):
        other = BusQuestions(harness.bus, account=lambda: ACCOUNT, fence=lambda: 0, lost=lambda: None, now=lambda: 0.0)
        harness.gate = asyncio.Event()
        asking = [asyncio.create_task(one.ask("GET", "/x")) for one in (harness.questions, other) for _ in range(5)]
        await eventually(lambda: harness.at_once == AT_ONCE)
        await asyncio.sleep(0.1)
        harness.gate.set()
        assert {answer.body for answer in await asyncio.gather(*asking)} == {b"yes"}
        assert harness.max_at_once == AT_ONCE

    run_scenario(nats_server, scenario)


def test_questions_beyond_the_limit_are_refused_at_once(nats_server, monkeypatch):
    monkeypatch.setattr(bus_questions, "MAX_WAITING", 1)

    async def scenario(harness):
        harness.gate = asyncio.Event()
        askers = [
            BusQuestions(harness.bus, account=lambda: ACCOUNT, fence=lambda: 0, lost=lambda: None, now=lambda: 0.0)
            for _ in range(4)
        ]
        asking = [asyncio.create_task(one.ask("GET", "/x")) for one in askers for _ in range(4)]
        done, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED, timeout=30)
        assert "the leader is busy" in str(done.pop().exception())
        harness.gate.set()
        await asyncio.gather(*asking, return_exceptions=True)

    run_scenario(nats_server, scenario)


@pytest.mark.slow
def test_a_question_that_the_leader_cannot_answer_returns_its_reason(nats_server, monkeypatch):
    monkeypatch.setattr(bus_questions, "ANSWER_SECONDS", 0.5)

    async def scenario(harness):
        harness.answers["/big"] = Answer(200, {}, b"x" * (MAX_BYTES + 1))
        assert "4194305 bytes, which the bus does not take" in await unavailable(harness, target="/big")
        harness.answers["/off"] = Unavailable("the database cannot be read", "")
        assert "the database cannot be read" in await unavailable(harness, target="/off")
        harness.gate = asyncio.Event()
        found = await unavailable(harness)
        assert "there is no answer within" in found or "no answer in time" in found
        harness.gate.set()

    run_scenario(nats_server, scenario)


def test_the_answers_of_a_former_leader_are_ignored(nats_server):
    async def scenario(harness):
        harness.fence = 2
        assert "a former leader has answered" in await unavailable(harness)

    run_scenario(nats_server, scenario)


@pytest.mark.slow
def test_an_ingester_that_does_not_lead_answers_nothing(nats_server, monkeypatch):
    monkeypatch.setattr(bus_questions, "ANSWER_SECONDS", 0.3)

    async def scenario(harness):
        harness.gate = asyncio.Event()
        asking = asyncio.create_task(harness.questions.ask("GET", "/x"))
        await eventually(lambda: harness.asked)
        harness.leader.answers.step_down()
        harness.gate.set()
        with pytest.raises(Unavailable, match="no answer in time"):
            await asking
        harness.asked.clear()
        assert "no answer in time" in await unavailable(harness)
        assert harness.asked == []

    run_scenario(nats_server, scenario)


def test_a_message_that_cannot_be_decoded_is_not_an_answer(nats_server):
    async def scenario(harness):
        message = await harness.bus.ask(f"condord.{ACCOUNT}.ask", b"hello", seconds=30)
        assert message.headers["Fault"] == "the question cannot be understood"
        harness.bus.publish(f"condord.{ACCOUNT}.ask", b"{}")  # nobody waits for an answer
        harness.leader.answers.step_down()
        await harness.bus.subscribe(
            f"condord.{ACCOUNT}.ask", lambda message: harness.bus.publish(message.reply, b"", {"Fence": "1"})
        )
        assert "cannot be understood" in await unavailable(harness)

    run_scenario(nats_server, scenario)
