"""The trading stream, which is used only as a hint that the account has changed.

Its events differ between paper and live, and new ones appear over time. So none is interpreted: after any order event
the positions are read again.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from condord.host.network import Network
from condord.live.link import Link
from condord.upstream.classify_failure import unauthorized_fault
from condord.upstream.interfaces import Login
from condord.upstream.link_runner import LinkRunner
from condord.upstream.quote_protocol import UNREADABLE

_KINDS = frozenset({"authorization", "listening", "trade_updates"})


class _Authorization(msgspec.Struct, frozen=True, kw_only=True):
    status: str = ""


class _StreamMessage(msgspec.Struct, frozen=True, kw_only=True):
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")


class TradeUpdates(LinkRunner):
    """Calls `traded` after every order event, and after every gap, which may have hidden some.

    `changed` is called when the status may have changed. `messages` counts messages by the name of their stream, over
    all connections.
    """

    def __init__(
        self,
        link: Link,
        *,
        url: str,
        login: Login,
        network: Network,
        traded: Callable[[], None],
        changed: Callable[[], None],
    ) -> None:
        super().__init__(link, url=url, headers={}, network=network, changed=changed)
        self.refused: dict[str, int] = {}
        self.messages = dict.fromkeys((*_KINDS, "other"), 0)
        self._login = login
        self._traded = traded
        self._encoder = msgspec.json.Encoder()
        self._envelopes = msgspec.json.Decoder(_StreamMessage)
        self._authorizations = msgspec.json.Decoder(_Authorization)
        self._has_asked = False

    def reload(self, login: Login, url: str) -> None:
        """Connect again, with another key or to another account's stream."""
        self._login = login
        self.reopen(url)

    def begin(self) -> None:
        """Note that nothing is subscribed yet."""
        self._has_asked = False

    def opened(self) -> None:
        """Treat the open connection as the welcome, because this stream sends none."""
        self.step("welcomed")

    def read(self, data: bytes) -> None:
        """Handle one frame of JSON, which is binary on paper and text on live."""
        try:
            envelope = self._envelopes.decode(data)
            is_login = envelope.stream == "authorization"
            status = self._authorizations.decode(envelope.data).status if is_login else ""
        except UNREADABLE:
            self.refused["tradeFrame"] = self.refused.get("tradeFrame", 0) + 1
            return
        self.messages[envelope.stream if envelope.stream in _KINDS else "other"] += 1
        if is_login:
            self._authorized(status)
        elif envelope.stream == "listening":
            self.step("acknowledged")
        elif envelope.stream == "trade_updates":
            self.note_data()
            self._traded()

    def _authorized(self, status: str) -> None:
        if status == "authorized":
            self.step("authenticated")
        else:
            self.step("fault", unauthorized_fault())

    def authentication(self) -> bytes:
        """The message that logs in."""
        return self._encoder.encode({"action": "auth", "key": self._login.key_id, "secret": self._login.secret_key})

    def subscription(self) -> list[bytes | str]:
        """The subscription to order events, which is sent once."""
        if self._has_asked:
            return []
        self._has_asked = True
        return [self._encoder.encode({"action": "listen", "data": {"streams": ["trade_updates"]}})]

    def gap(self) -> None:
        """Do nothing: `snapshot` makes up for missed events."""

    def snapshot(self) -> None:
        """Note a possible fill, as some may have been missed."""
        self._traded()
