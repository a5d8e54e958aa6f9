"""Name the relays on the way to the account in each answer, so that a relay that would follow itself notices it."""

from __future__ import annotations

from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from condord.live.relay_path import HEADER

_NAME = HEADER.lower().encode()


class RelaysHeader:
    """ASGI middleware that adds the header, unless `path` returns an empty text.

    It is around the guard: a relay that does not accept its own token, or the name of its own host, has it, too.
    """

    def __init__(self, app: ASGIApp, path: Callable[[], str]) -> None:
        self._app = app
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_named(message: Message) -> None:
            if message["type"] == "http.response.start" and (path := self._path()):
                message = {**message, "headers": [*message.get("headers", ()), (_NAME, path.encode())]}
            await send(message)

        await self._app(scope, receive, send_named)
