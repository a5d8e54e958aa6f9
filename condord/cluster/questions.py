"""Pass requests on to the source of a relay, and keep its answers for the time when the source is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from condord.cluster.connection import ConnectionLost, SourceSettings, open_request, refusal
from condord.cluster.interfaces import Answer
from condord.errors import AccessDenied, Unavailable

COPY_SECONDS = 60.0
"""How old a copy of an answer may be when it is returned instead of the source's."""
READ_SECONDS = 10.0
WRITE_SECONDS = 30.0
"""Longer than for reads, as a channel may take 25 s to answer a test message."""
AT_ONCE = 8
MAX_BYTES = 16 * 1024 * 1024
MAX_COPIED_BYTES = 512 * 1024
"""Longer answers are not kept."""
MAX_COPIES = 8

_NOT_EXECUTED = "it was not carried out"
_UNCERTAIN = "it is not known whether it was carried out"
_PASSED_BACK = ("content-type", "content-disposition", "cache-control", "retry-after", "etag", "allow")
_HINT = "The relay keeps trying; ask again in a few seconds."


class NotAnswered(Unavailable):
    """No answer has come, because of `why`. `is_not_executed`: a POST was certainly not carried out."""

    def __init__(self, method: str, why: str, *, is_not_executed: bool) -> None:
        self.why = why
        self.is_not_executed = is_not_executed
        outcome = "" if method == "GET" else f"; {_NOT_EXECUTED if is_not_executed else _UNCERTAIN}"
        super().__init__(f"{why}{outcome}", _HINT)


class CopiedAnswers:
    """Copies of good answers, for when the source is lost. `now` is a clock in seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._copies: dict[str, tuple[Answer, float]] = {}

    def keep(self, method: str, target: str, answer: Answer) -> None:
        """Keep a copy of a good answer to a GET. Of more than `MAX_COPIES`, drop the oldest.

        A POST drops the copies that it may have outdated: those of the paths above it.
        """
        if method != "GET":
            self._drop_above(target)
            return
        self._copies.pop(target, None)
        if answer.status == 200 and len(answer.body) <= MAX_COPIED_BYTES:
            self._copies[target] = answer, self._now()
        while len(self._copies) > MAX_COPIES:
            del self._copies[next(iter(self._copies))]

    def copy_of(self, method: str, target: str, why: str, *, is_not_executed: bool) -> Answer:
        """Return the copy of an answer, `COPY_SECONDS` old at most.

        Raises:
            NotAnswered: there is none, because of `why`, or a POST was asked for.
        """
        answer, at = self._copies.get(target, (None, 0.0))
        if method != "GET" and not is_not_executed:
            self._drop_above(target)
        if method != "GET" or answer is None or self._now() - at > COPY_SECONDS:
            raise NotAnswered(method, why, is_not_executed=is_not_executed)
        return answer

    def _drop_above(self, target: str) -> None:
        for known in [each for each in self._copies if target.startswith(f"{each.partition('?')[0]}/")]:
            del self._copies[known]


class Questions:
    """Asks one source, called `name` in errors. `is_lost` returns whether it is lost, `now` is a clock in seconds.

    `refused` gets the error if the source does not accept the token.
    """

    def __init__(
        self,
        settings: SourceSettings,
        *,
        name: str,
        is_lost: Callable[[], bool],
        refused: Callable[[AccessDenied], None],
        now: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._name = name
        self._is_lost = is_lost
        self._refused = refused
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._copies = CopiedAnswers(now)

    async def ask(self, method: str, target: str) -> Answer:
        """Return the source's answer, unchanged; if none comes, a copy of its last answer to the same GET.

        Raises:
            Unavailable: the source is lost or does not answer, and there is no copy.
        """
        if self._is_lost():
            return self._copies.copy_of(method, target, f"{self._name} is lost", is_not_executed=True)
        try:
            async with self._slots:
                answer = await self._request(method, target)
        except ConnectionLost as lost:
            why = f"{self._name} does not answer: {lost}"
            return self._copies.copy_of(method, target, why, is_not_executed=lost.is_unsent)
        self._copies.keep(method, target, answer)
        return answer

    async def ask_now(self, target: str, accept: str = "*/*") -> Answer:
        """Return the source's answer to a GET, unchanged, and never a copy of an earlier one.

        Raises:
            Unavailable: the source is lost or does not answer.
        """
        if self._is_lost():
            raise Unavailable(f"{self._name} is lost", _HINT)
        try:
            async with self._slots:
                return await self._request("GET", target, accept)
        except ConnectionLost as lost:
            raise Unavailable(f"{self._name} does not answer: {lost}", _HINT) from lost

    async def _request(self, method: str, target: str, accept: str = "*/*") -> Answer:
        seconds = READ_SECONDS if method == "GET" else WRITE_SECONDS
        headers = {"Accept": accept} if method == "GET" else {"Accept": accept, "Content-Length": "0"}
        async with open_request(self._settings, method, target, headers, seconds) as response:
            if (error := refusal(self._settings, response)) is not None:
                self._refused(error)
                raise ConnectionLost("it refuses the token")
            body = await response.read_body(MAX_BYTES, seconds)
            passed = {name: response.headers[name] for name in _PASSED_BACK if name in response.headers}
            return Answer(response.status, passed, body)
