"""What a failed request to a daemon means, and what to do about it."""

from __future__ import annotations

import http.client
import re
from email.message import Message

import msgspec

from condord.errors import EXIT_FAILED, SOON_HINT, AccessDenied, CondordError, Unavailable
from condord.live.remedies import split_loss
from condord.live.wire import Problem, UnreadProblem

NO_DAEMON_HINT = "Start one with `condord start`, or name the one you mean with --url or $CONDORD_URL."
NOT_CONDORD_HINT = "Something else listens there: check --url, $CONDORD_URL and server.port."

_TEMPORARY_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


class TemporarilyUnavailable(Unavailable):
    """A failure that may not occur again.

    The server asks for at least `retry_after_seconds` before the next attempt.
    """

    def __init__(self, text: str, hint: str, retry_after_seconds: float = 0.0) -> None:
        self.retry_after_seconds = retry_after_seconds
        super().__init__(text, hint)


class Suspended(TemporarilyUnavailable):
    """The process of the daemon is stopped (SIGSTOP), and answers once it continues."""

    def __init__(self, url: str, pid: int) -> None:
        super().__init__(
            f"{url} does not answer: its process {pid} is suspended", f"Continue it with `kill -CONT {pid}`."
        )


class NothingRead(TemporarilyUnavailable):
    """The server follows another one, and has no document yet."""

    def __init__(self, text: str, problem: UnreadProblem, retry_after_seconds: float) -> None:
        self.problem = problem
        found, remedy = split_loss(text, problem.code)
        super().__init__(found, f"It goes on trying; {remedy or 'try again in a moment'}.", retry_after_seconds)


class TooManyRequests(TemporarilyUnavailable):
    """The daemon does this only once in a while."""

    code = "too-many-requests"
    exit_code = EXIT_FAILED


class Answered404(Unavailable):
    """The resource does not exist, or the server is not condord: then `detail` is empty."""

    def __init__(self, text: str, hint: str, detail: str) -> None:
        self.detail = detail
        super().__init__(text, hint)


def connection_error(error: Exception, *, url: str, timeout_seconds: float) -> Unavailable:
    """Return the error to raise when there is no complete answer."""
    if isinstance(error, http.client.HTTPException) and not isinstance(error, http.client.RemoteDisconnected):
        return TemporarilyUnavailable(f"{url} sent invalid or incomplete HTTP", NOT_CONDORD_HINT)
    if isinstance(error, TimeoutError):
        hint = "The daemon hangs, is suspended (`kill -CONT` continues it), or a firewall drops the connection: "
        hint += "try again, then look at its log."
        return TemporarilyUnavailable(f"{url} did not answer within {timeout_seconds:g} s", hint)
    if isinstance(error, PermissionError):
        return TemporarilyUnavailable(f"this user may not open {url}", "Join the group that owns the socket.")
    reason = getattr(error, "strerror", None) or "the connection was closed"
    return TemporarilyUnavailable(f"no daemon at {url}: {reason}", NO_DAEMON_HINT)


def status_error(status: int, headers: Message, body: bytes, *, url: str, has_token: bool) -> CondordError:
    """Return the error to raise for another status than the expected one."""
    detail = _problem_detail(body)
    if status in {401, 403} and detail:  # without it, another program has answered
        text = f"{url} does not accept the token" if has_token else f"{url} requires a token"
        return AccessDenied(text, "Set $CONDORD_TOKEN; server.token_file is for the configured address only.")
    text = f"{url} answered {status}: {detail}" if detail else f"{url} answered {status}"
    if status == http.client.MISDIRECTED_REQUEST:
        return Unavailable(text, "Use the address that `condord start` printed, or see server.allowed_hosts.")
    if status in _TEMPORARY_STATUSES:
        after = headers.get("Retry-After", "")
        seconds = float(after) if re.fullmatch("[0-9]{1,3}", after) else 0.0
        if status == http.client.TOO_MANY_REQUESTS:
            hint = f"Try again in {seconds:g} s." if seconds else SOON_HINT
            return TooManyRequests(text, hint, seconds)
        if (unread := _unread(body)) is not None:
            return NothingRead(text, unread, seconds)
        hint = "Try again later."
        if "subscribers" in detail:
            hint += " Close some streams, or raise server.max_subscribers."
        return TemporarilyUnavailable(text, hint, seconds)
    if status == http.client.NOT_FOUND:
        return Answered404(text, NOT_CONDORD_HINT, detail)
    return Unavailable(text, NOT_CONDORD_HINT)


def _problem_detail(body: bytes) -> str:
    """Return the detail of a problem document; empty for any other body."""
    try:
        return msgspec.json.decode(body, type=Problem).detail
    except msgspec.DecodeError:
        return ""


def _unread(body: bytes) -> UnreadProblem | None:
    """Return what a server answers before it has a document; None for any other body."""
    try:
        return msgspec.json.decode(body, type=UnreadProblem)
    except msgspec.DecodeError:
        return None
