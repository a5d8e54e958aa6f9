"""Ask the leader over the bus what only it knows, and answer such questions as the leader."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import msgspec
from nats.errors import NoRespondersError

from condord.cluster.bus import Bus, BusError, BusMessage
from condord.cluster.bus_frames import ANSWER, FAULT, FENCE, NOT_EXECUTED, ask_subject, fence_of, resume_subject
from condord.cluster.interfaces import Answer
from condord.cluster.nats_client import PAYLOAD_REMEDY
from condord.cluster.questions import CopiedAnswers, NotAnswered
from condord.errors import Unavailable
from condord.live.remedies import with_remedy

ANSWER_SECONDS = 5.0
AT_ONCE = 4
MAX_BYTES = 4 * 1024 * 1024
MAX_WAITING = 64


class _Question(msgspec.Struct, frozen=True):
    method: str
    target: str


class _NotExecuted(BusError):
    """The request was certainly not carried out."""


class _AnswerHead(msgspec.Struct, frozen=True):
    status: int
    headers: dict[str, str]


class BusQuestions:
    """Asks the leading ingester, with the interface of `condord.cluster.questions.Questions`.

    `account` and `fence` belong to the leader that is followed. `lost` returns the name of the loss, `the bus` or
    `the leader on the bus`, or None. `now` is a clock in seconds.
    """

    def __init__(
        self,
        bus: Bus,
        *,
        account: Callable[[], str],
        fence: Callable[[], int],
        lost: Callable[[], str | None],
        now: Callable[[], float],
    ) -> None:
        self._bus = bus
        self._account = account
        self._fence = fence
        self._lost = lost
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._copies = CopiedAnswers(now)

    async def ask(self, method: str, target: str) -> Answer:
        """Return the leader's answer, unchanged; if none comes, a copy of its last answer to the same GET.

        Raises:
            Unavailable: the bus or the leader is lost, or does not answer, and there is no copy.
        """
        if (lost := self._lost()) is not None:
            return self._copies.copy_of(method, target, f"{lost} {self._bus.urls} is lost", is_not_executed=True)
        try:
            async with self._slots:
                answer = await self._request(method, target)
        except BusError as error:
            why = f"the leader does not answer: {error}"
            return self._copies.copy_of(method, target, why, is_not_executed=isinstance(error, _NotExecuted))
        self._copies.keep(method, target, answer)
        return answer

    async def _request(self, method: str, target: str) -> Answer:
        payload = msgspec.json.encode(_Question(method, target))
        try:
            message = await self._bus.ask(ask_subject(self._account()), payload, seconds=ANSWER_SECONDS)
        except BusError as error:
            if isinstance(error.__cause__, NoRespondersError):
                raise _NotExecuted(str(error)) from error
            raise
        if fault := message.headers.get(FAULT):
            raise (_NotExecuted if NOT_EXECUTED in message.headers else BusError)(fault)
        if (fence_of(message.headers) or 0) < self._fence():
            raise BusError("a former leader has answered")
        try:
            head = msgspec.json.decode(message.headers.get(ANSWER, ""), type=_AnswerHead)
        except msgspec.DecodeError as error:
            raise BusError("the answer cannot be understood") from error
        return Answer(head.status, head.headers, message.data)


class BusAnswers:
    """Answers the questions of all followers while this process leads.

    `answer` returns the answer to a method and a target. `resume` returns what is missing after a version, or a whole
    snapshot without one, as blocks of a stream. Both raise `Unavailable` where there is none.
    """

    def __init__(
        self,
        bus: Bus,
        account: str,
        *,
        answer: Callable[[str, str], Awaitable[Answer]],
        resume: Callable[[str | None], bytes],
    ) -> None:
        self._bus = bus
        self._account = account
        self._answer = answer
        self._resume = resume
        self._fence: int | None = None
        self._loop = asyncio.get_running_loop()
        self._waiting: asyncio.Queue[tuple[BusMessage, float]] = asyncio.Queue(MAX_WAITING)

    def lead(self, fence: int) -> None:
        """Answer under this fence from now on."""
        self._fence = fence

    def step_down(self) -> None:
        """Answer nothing from now on."""
        self._fence = None

    async def run(self) -> None:
        """Answer until cancelled."""
        await self._bus.subscribe(ask_subject(self._account), self._take_question)
        await self._bus.subscribe(resume_subject(self._account), self._take_resume)
        async with asyncio.TaskGroup() as tasks:
            for _ in range(AT_ONCE):
                tasks.create_task(self._work())

    def _take_resume(self, message: BusMessage) -> None:
        if self._fence is None or not message.reply:
            return
        try:
            blocks = self._resume(message.data.decode(errors="replace") or None)
        except Unavailable as error:
            self._reply(message, {FAULT: str(error)})
            return
        if self._bus.takes(len(blocks)):
            self._reply(message, {}, blocks)
        else:
            text = f"a snapshot of {len(blocks)} bytes is larger than the bus takes"
            self._reply(message, {FAULT: with_remedy(text, PAYLOAD_REMEDY)})

    def _take_question(self, message: BusMessage) -> None:
        if self._fence is None or not message.reply:
            return
        try:
            self._waiting.put_nowait((message, self._loop.time()))
        except asyncio.QueueFull:
            self._reply(message, {FAULT: "the leader is busy", NOT_EXECUTED: "1"})

    async def _work(self) -> None:
        while True:
            message, asked_at = await self._waiting.get()
            if self._loop.time() - asked_at < ANSWER_SECONDS:  # else nobody waits for the answer any longer
                await self._work_on(message)

    async def _work_on(self, message: BusMessage) -> None:
        try:
            question = msgspec.json.decode(message.data, type=_Question)
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await self._answer(question.method, question.target)
        except msgspec.DecodeError:
            self._reply(message, {FAULT: "the question cannot be understood", NOT_EXECUTED: "1"})
        except TimeoutError:
            self._reply(message, {FAULT: f"there is no answer within {ANSWER_SECONDS:g} s"})
        except NotAnswered as error:
            self._reply(message, {FAULT: error.why, **({NOT_EXECUTED: "1"} if error.is_not_executed else {})})
        except Unavailable as error:
            self._reply(message, {FAULT: str(error)})
        else:
            if len(answer.body) > MAX_BYTES or not self._bus.takes(len(answer.body)):
                self._reply(message, {FAULT: f"the answer has {len(answer.body)} bytes, which the bus does not take"})
            else:
                head = msgspec.json.encode(_AnswerHead(answer.status, answer.headers)).decode()
                self._reply(message, {ANSWER: head}, answer.body)

    def _reply(self, message: BusMessage, headers: dict[str, str], body: bytes = b"") -> None:
        if self._fence is not None:  # else this process has stepped down meanwhile
            self._bus.publish(message.reply, body, {FENCE: str(self._fence), **headers})
