"""The trading stream: a hint that the account has changed, and no more.

Its events differ between paper and live and grow over time, so none is interpreted: any order event means that the
positions are to be read again.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from condord.live.link import Link
from condord.upstream.faults import unauthorized_fault
from condord.upstream.line import Line
from condord.upstream.option_protocol import UNREADABLE
from condord.upstream.ports import Login

_KINDS = frozenset({"authorization", "listening", "trade_updates"})


class _Authorization(msgspec.Struct):
    status: str = ""


class _Envelope(msgspec.Struct):
    stream: str = ""
    data: msgspec.Raw = msgspec.Raw(b"null")


class TradeUpdates(Line):
    """Calls `traded` on every order event, and after every gap, in which some may have been missed.

    `messages` counts what came, by Alpaca's name of it, over all connections.
    """

    def __init__(
        self, link: Link, *, url: str, login: Login, traded: Callable[[], None], changed: Callable[[], None]
    ) -> None:
        super().__init__(link, url=url, headers={}, changed=changed)
        self.refused: dict[str, int] = {}
        self.messages = dict.fromkeys((*_KINDS, "other"), 0)
        self._login = login
        self._traded = traded
        self._encoder = msgspec.json.Encoder()
        self._envelopes = msgspec.json.Decoder(_Envelope)
        self._authorizations = msgspec.json.Decoder(_Authorization)
        self._has_asked = False

    def reload(self, login: Login, url: str) -> None:
        """Connect anew, with another key or to another account's stream."""
        self._login = login
        self.reopen(url)

    def begin(self) -> None:
        """Nothing was asked for yet."""
        self._has_asked = False

    def opened(self) -> None:
        """This stream greets nobody: the open connection is the welcome."""
        self.step("welcomed")

    def read(self, data: bytes) -> None:
        """Handle one frame: JSON, in binary frames on paper and in text frames on live."""
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
            self.link.data(self.now())
            self._traded()

    def _authorized(self, status: str) -> None:
        if status == "authorized":
            self.step("authenticated")
        else:
            self.step("fault", unauthorized_fault())

    def authentication(self) -> bytes:
        """The login of the trading stream."""
        return self._encoder.encode({"action": "auth", "key": self._login.key_id, "secret": self._login.secret_key})

    def subscription(self) -> list[bytes | str]:
        """Order events are all there is, and they are asked for once."""
        if self._has_asked:
            return []
        self._has_asked = True
        return [self._encoder.encode({"action": "listen", "data": {"streams": ["trade_updates"]}})]

    def gap(self) -> None:
        """What was missed is read when the link is live again."""

    def snapshot(self) -> None:
        """Fills may have been missed while the link was down."""
        self._traded()
