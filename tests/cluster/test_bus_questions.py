import asyncio

import pytest

from condord.cluster import bus_questions
from condord.cluster.bus_questions import AT_ONCE, MAX_BYTES, BusQuestions
from condord.cluster.interfaces import Answer
from condord.cluster.questions import NotAnswered
from condord.errors import Unavailable

from .led import ACCOUNT, Leader, working
from .nats_server import eventually, running


class Harness:
    """A leader with a written `answer`, and one who asks; `asked` has the questions."""

    def __init__(self, server):
        self.server = server
        self.asked = []
        self.answers = {}
        self.gate = None
        self.at_once = self.most = 0
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
        self.most = max(self.most, self.at_once)
        try:
            if self.gate is not None:
                await self.gate.wait()
            found = self.answers.get(target, Answer(200, {"content-type": "text/plain", "etag": '"a\u00e9"'}, b"yes"))
            if isinstance(found, Exception):
                raise found
            return found
        finally:
            self.at_once -= 1


def run_scenario(nats_server, harness, **options):
    async def main():
        made = Harness(nats_server(**options))
        async with working(made.leader), running(made.bus):
            made.leader.begin()
            # The leader has subscribed once it has answered.
            await eventually(lambda: made.questions.ask("GET", "/first"))
            made.asked.clear()
            await harness(made)

    asyncio.run(main())


async def unavailable(harness, method="GET", target="/x"):
    with pytest.raises(Unavailable) as caught:
        await harness.questions.ask(method, target)
    assert caught.value.hint
    return str(caught.value)


def test_the_answer_of_the_leader_is_passed_back_unchanged(nats_server):
    async def scenario(made):
        made.answers["/csv?a=b%20c"] = Answer(404, {"content-disposition": 'attachment; filename="x"'}, b"\x00\xff\r\n")
        assert await made.questions.ask("GET", "/csv?a=b%20c") == made.answers["/csv?a=b%20c"]
        assert await made.questions.ask("POST", "/y") == Answer(
            200, {"content-type": "text/plain", "etag": '"a\u00e9"'}, b"yes"
        )
        assert made.asked == [("GET", "/csv?a=b%20c"), ("POST", "/y")]

    run_scenario(nats_server, scenario)


def test_while_the_leader_is_lost_a_copy_of_the_last_minute_stands_in_for_a_get(nats_server):
    async def scenario(made):
        kept = await made.questions.ask("GET", "/x")
        await made.questions.ask("POST", "/x")
        made.lost = "the leader on the bus"
        made.now = 60.0
        assert await made.questions.ask("GET", "/x") == kept
        undone = "is lost; it was not carried out"
        assert await unavailable(made, "POST") == f"the leader on the bus {made.bus.urls} {undone}"
        made.now = 60.1
        assert await unavailable(made) == f"the leader on the bus {made.bus.urls} is lost"
        made.lost = "the bus"
        assert await unavailable(made, "POST") == f"the bus {made.bus.urls} {undone}"

    run_scenario(nats_server, scenario)


def test_the_error_of_a_post_without_an_answer_states_whether_it_may_have_been_carried_out(nats_server, monkeypatch):
    certain, uncertain = "; it was not carried out", "; it is not known whether it was carried out"

    async def scenario(made):
        nobody = BusQuestions(made.bus, account=lambda: "none", fence=lambda: 0, lost=lambda: None, now=lambda: 0.0)
        with pytest.raises(Unavailable) as unheard:
            await nobody.ask("POST", "/x")
        assert str(unheard.value) == f"the leader does not answer: nobody answers on the bus{certain}"
        monkeypatch.setattr(bus_questions, "ANSWER_SECONDS", 0.3)
        made.gate = asyncio.Event()  # the leader hangs
        assert (await unavailable(made, "POST")).endswith(uncertain)
        made.gate.set()
        monkeypatch.undo()
        for is_not_executed, outcome in ((True, certain), (False, uncertain)):
            made.answers["/x"] = NotAnswered("POST", "its maker is gone", is_not_executed=is_not_executed)
            assert await unavailable(made, "POST") == f"the leader does not answer: its maker is gone{outcome}"
        made.answers["/x"] = Unavailable("it is closed", "")
        assert await unavailable(made, "POST") == f"the leader does not answer: it is closed{uncertain}"
        assert await unavailable(made) == "the leader does not answer: it is closed"

    run_scenario(nats_server, scenario)


def test_only_a_few_questions_are_open_at_once_and_the_rest_wait(nats_server):
    async def scenario(made):
        other = BusQuestions(made.bus, account=lambda: ACCOUNT, fence=lambda: 0, lost=lambda: None, now=lambda: 0.0)
        made.gate = asyncio.Event()
        asking = [asyncio.create_task(one.ask("GET", "/x")) for one in (made.questions, other) for _ in range(5)]
        await eventually(lambda: made.at_once == AT_ONCE)
        await asyncio.sleep(0.1)
        made.gate.set()
        assert {answer.body for answer in await asyncio.gather(*asking)} == {b"yes"}
        assert made.most == AT_ONCE

    run_scenario(nats_server, scenario)


def test_questions_beyond_the_limit_are_refused_at_once(nats_server, monkeypatch):
    monkeypatch.setattr(bus_questions, "MAX_WAITING", 1)

    async def scenario(made):
        made.gate = asyncio.Event()
        askers = [
            BusQuestions(made.bus, account=lambda: ACCOUNT, fence=lambda: 0, lost=lambda: None, now=lambda: 0.0)
            for _ in range(4)
        ]
        asking = [asyncio.create_task(one.ask("GET", "/x")) for one in askers for _ in range(4)]
        done, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED, timeout=30)
        assert "the leader is busy" in str(done.pop().exception())
        made.gate.set()
        await asyncio.gather(*asking, return_exceptions=True)

    run_scenario(nats_server, scenario)


@pytest.mark.slow
def test_a_question_that_the_leader_cannot_answer_returns_its_reason(nats_server, monkeypatch):
    monkeypatch.setattr(bus_questions, "ANSWER_SECONDS", 0.5)

    async def scenario(made):
        made.answers["/big"] = Answer(200, {}, b"x" * (MAX_BYTES + 1))
        assert "4194305 bytes, which the bus does not take" in await unavailable(made, target="/big")
        made.answers["/off"] = Unavailable("the database cannot be read", "")
        assert "the database cannot be read" in await unavailable(made, target="/off")
        made.gate = asyncio.Event()
        found = await unavailable(made)
        assert "there is no answer within" in found or "no answer in time" in found
        made.gate.set()

    run_scenario(nats_server, scenario)


def test_the_answers_of_a_former_leader_are_ignored(nats_server):
    async def scenario(made):
        made.fence = 2
        assert "a former leader has answered" in await unavailable(made)

    run_scenario(nats_server, scenario)


@pytest.mark.slow
def test_an_ingester_that_does_not_lead_answers_nothing(nats_server, monkeypatch):
    monkeypatch.setattr(bus_questions, "ANSWER_SECONDS", 0.3)

    async def scenario(made):
        made.gate = asyncio.Event()
        asking = asyncio.create_task(made.questions.ask("GET", "/x"))
        await eventually(lambda: made.asked)
        made.leader.answers.step_down()
        made.gate.set()
        with pytest.raises(Unavailable, match="no answer in time"):
            await asking
        made.asked.clear()
        assert "no answer in time" in await unavailable(made)
        assert made.asked == []

    run_scenario(nats_server, scenario)


def test_a_message_that_cannot_be_decoded_is_not_an_answer(nats_server):
    async def scenario(made):
        message = await made.bus.ask(f"condord.{ACCOUNT}.ask", b"hello", seconds=30)
        assert message.headers["Fault"] == "the question cannot be understood"
        made.bus.publish(f"condord.{ACCOUNT}.ask", b"{}")  # nobody waits for an answer
        made.leader.answers.step_down()
        await made.bus.subscribe(
            f"condord.{ACCOUNT}.ask", lambda message: made.bus.publish(message.reply, b"", {"Fence": "1"})
        )
        assert "cannot be understood" in await unavailable(made)

    run_scenario(nats_server, scenario)
