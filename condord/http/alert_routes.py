"""The routes of alerts: all of them, acknowledging one, and testing a channel."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from condord.errors import Unavailable
from condord.http.answer import REVALIDATE, daemon_of, json_answer
from condord.http.problem import problem
from condord.http.routes import DocumentedResponse, Parameter, Route, error
from condord.live.wire_alerts import AlertsJson, ChannelTestJson

TEST_SECONDS = 25.0
"""How long a test may take; a channel itself has 20 s to answer."""
BETWEEN_TESTS_SECONDS = 10.0
"""How long after the beginning of a test the next one of the same channel may begin."""
RETRY_AFTER_SECONDS = 2

_UNKNOWN_ALERT = "there is no alert with this id; GET /api/alerts lists the ids"
_UNKNOWN_CHANNEL = "there is no channel with this name; GET /api/alerts lists the names"
_TOO_MANY_TESTS = f"this channel was tested less than {BETWEEN_TESTS_SECONDS:g} s ago"
_NO_ANSWER = f"the channel has not answered within {TEST_SECONDS:g} s"


class ChannelPace:
    """When each channel was last tested. `now` is a clock in seconds."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.now = now
        self._begun: dict[str, float] = {}

    def wait_seconds(self, channel: str) -> float:
        """Return how long to wait until `channel` may be tested; 0 if now, which counts as a test."""
        now = self.now()
        self._begun = {name: at for name, at in self._begun.items() if now < at + BETWEEN_TESTS_SECONDS}
        if channel in self._begun:
            return self._begun[channel] + BETWEEN_TESTS_SECONDS - now
        self._begun[channel] = now
        return 0.0


async def _alerts(request: Request) -> Response:
    return json_answer(daemon_of(request).alerts())


async def _acknowledge(request: Request) -> Response:
    try:
        is_known = await daemon_of(request).acknowledge(request.path_params["id"])
    except Unavailable as error:
        return problem(503, str(error), {"Retry-After": str(RETRY_AFTER_SECONDS)})
    if not is_known:
        return problem(404, _UNKNOWN_ALERT)
    return Response(status_code=204, headers=REVALIDATE)


async def _test_channel(request: Request) -> Response:
    daemon, name = daemon_of(request), request.path_params["name"]
    pace: ChannelPace = request.app.state.channel_pace
    if name not in daemon.channels:
        return problem(404, _UNKNOWN_CHANNEL)
    if wait_seconds := pace.wait_seconds(name):
        return problem(429, _TOO_MANY_TESTS, {"Retry-After": str(math.ceil(wait_seconds))})
    try:
        async with asyncio.timeout(TEST_SECONDS):
            result = await daemon.test_channel(name)
    except TimeoutError:
        result = ChannelTestJson(ok=False, status=None, text=_NO_ANSWER)
    return problem(404, _UNKNOWN_CHANNEL) if result is None else json_answer(result)


ALERT_ROUTES = (
    Route(
        path="/api/alerts",
        name="getAlerts",
        endpoint=_alerts,
        summary="All alerts, the rules in force, and the notification channels.",
        responses=(DocumentedResponse(status=200, description="The alerts.", body=AlertsJson),),
    ),
    Route(
        path="/api/alerts/{id}/acknowledge",
        method="POST",
        name="acknowledgeAlert",
        endpoint=_acknowledge,
        summary="Acknowledge an alert, which stops its repeats. A second time changes nothing.",
        parameters=(
            Parameter(
                name="id",
                location="path",
                description="The `id` of the alert.",
                example="breached:SPY-261218-705-715-770-780",
            ),
        ),
        responses=(
            DocumentedResponse(status=204, description="It is acknowledged."),
            error(404, "There is no alert with this `id`."),
            error(503, "With several ingesters, the next leader may not know of the acknowledgement.", "Retry-After"),
        ),
    ),
    Route(
        path="/api/channels/{name}/test",
        method="POST",
        name="testChannel",
        endpoint=_test_channel,
        summary="Send one test message by a notification channel, and wait for its answer, at most 25 s.",
        parameters=(
            Parameter(name="name", location="path", description="The `name` of the channel.", example="phone"),
        ),
        responses=(
            DocumentedResponse(status=200, description="How the channel answered.", body=ChannelTestJson),
            error(404, "There is no channel with this `name`."),
            error(429, "The last test of this channel began less than 10 s ago.", "Retry-After"),
        ),
    ),
)
