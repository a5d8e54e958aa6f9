"""The notice that a database of the daemon cannot be used."""

from __future__ import annotations

import logging

from condord.host.database_thread import DatabaseFault
from condord.live.wire import NoticeCode, NoticeJson

_log = logging.getLogger(__name__)


class StoreNotice:
    """The notice `code`. Its beginning, its end and each change of its reason are logged."""

    def __init__(self, code: NoticeCode) -> None:
        self._code = code
        self._noticed: str | None = None

    def of(self, fault: DatabaseFault | None) -> list[NoticeJson]:
        """Return the notice of `fault`, if there is one."""
        text = None if fault is None else fault.text
        if text != self._noticed:
            self._noticed = text
            if text is None:
                _log.info("Notice is over", extra={"fields": {"code": self._code}})
            else:
                _log.warning("Notice", extra={"fields": {"code": self._code, "reason": text}})
        if fault is None:
            return []
        return [NoticeJson(code=self._code, text=fault.text, symbols=[], since=fault.since)]
