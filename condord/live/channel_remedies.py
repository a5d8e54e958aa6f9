"""What to do if a notification channel does not accept a message, by its HTTP status."""

from __future__ import annotations

import http
from collections.abc import Mapping

_REFUSED = "The receiver refuses the URL: check the token or password in the file that `url_file` names."
_GONE = (
    "The receiver wants no further messages. Correct the URL in the file that `url_file` names, or remove the channel,"
    " and send SIGHUP. If the URL is right, restart condord."
)
_NOT_REACHED = (
    "Check the URL in the file that `url_file` names, the network and the firewall, and that the receiver runs."
)
_ANY_OTHER = "Check the URL in the file that `url_file` names, and see the log of the receiver."
_MOVED = "Redirects are not followed: write the final URL into the file that `url_file` names."

DISABLED_REMEDY = "Restart condord, or change the channel and send SIGHUP."
"""What to do about a channel that gets no messages any longer, because its receiver has answered 410."""

_REMEDIES: Mapping[int, str] = {
    http.HTTPStatus.UNAUTHORIZED: _REFUSED,
    http.HTTPStatus.FORBIDDEN: _REFUSED,
    http.HTTPStatus.NOT_FOUND: "Nothing is at this URL: correct it in the file that `url_file` names.",
    http.HTTPStatus.GONE: _GONE,
    http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The receiver must accept bodies of 16 kB.",
    http.HTTPStatus.TOO_MANY_REQUESTS: "The receiver limits messages: wait a minute, or use fewer repeats.",
}


def channel_remedy(status: int | None) -> str:
    """Return the remedy as a sentence; `status` is the HTTP status, None without an answer."""
    if status is None:
        return _NOT_REACHED
    if status in _REMEDIES:
        return _REMEDIES[status]
    if 300 <= status < 400:
        return _MOVED
    return "The receiver has a fault: see its log, and try again." if status >= 500 else _ANY_OTHER
