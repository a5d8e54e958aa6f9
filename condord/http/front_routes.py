"""The routes for which a front asks its maker at each request: the metrics of Alpaca, alerts and history."""

from __future__ import annotations

from typing import Protocol

from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import Response

from condord.http.interfaces import ServedView
from condord.http.metrics import answer_with


class MakersMetrics(Protocol):
    """Adds a maker's metrics to its front's."""

    async def with_maker(self, registry: Collector) -> Collector:
        """Return the metrics of a registry and, while this process leads, those of its maker."""


async def metrics(request: Request) -> Response:
    """Answer `GET /metrics`."""
    view: ServedView = request.app.state.daemon
    front: MakersMetrics = request.app.state.source
    return answer_with(await front.with_maker(view.registry), request)


ENDPOINTS = {"getMetrics": metrics}
"""The endpoints by the names of their routes."""
