"""One connection to a NATS server. This is the only module that touches private parts of nats-py.

nats-py could reconnect by itself. But then it buffers what is published meanwhile and sends it late, tries servers that
the configuration does not name, and gives up for good if the credentials are refused. So a client here lives for one
connection, and `condord.cluster.bus` makes the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Literal

import msgspec
from nats import errors
from nats.aio.client import Client, RawCredentials
from nats.aio.subscription import Subscription

from condord.cluster.connection import CONNECT_SECONDS, ConnectionLost, unreachable
from condord.errors import AccessDenied
from condord.host.secret import Secret

PING_SECONDS = 0.6
"""The time between two pings of the server; the third without an answer ends the connection.

So when a follower reports a loss, after 2 s, the connection to a bus that hangs has already ended.
"""
CLOSE_SECONDS = 1.0
MIN_PAYLOAD_BYTES = 8 * 1024 * 1024
"""The `max_payload` that a server should have: a snapshot of 2,000 legs exceeds the default of 1 MiB."""
PAYLOAD_REMEDY = f"set max_payload: {MIN_PAYLOAD_BYTES // 1024 // 1024}MB in the configuration of nats-server"

MIN_VERSION = (2, 9)
"""The oldest version of nats-server that condord is tested with."""
RECOMMENDED_VERSION = (2, 14)
"""The oldest version that docs/relays.md recommends."""
VERSION_REMEDY = "install nats-server 2.14 or newer; condord needs at least 2.9"

MAX_SUBJECTS = 200
"""How many subjects are remembered, the newest, to match the server's denials."""

_UNWRITABLE = {"Nats-Expected-Last-Subject-Sequence": str(2**62)}
"""JetStream refuses a message with these headers: no value has such a revision."""
_FORBIDDEN = re.compile(r'permissions violation for (publish|subscription) to "([^"]+)"', re.IGNORECASE)
_OWN_INBOX = re.compile(r"^(_INBOX\.(?:[^.]+\.)*?)[A-Za-z0-9]{22}\..+$")
_REFUSALS = ("authorization violation", "authentication expired", "authentication revoked")
_REFUSED_HINT = "Check cluster.credentials_file, and the user and its permissions at the NATS server."


class BusLogin(msgspec.Struct, frozen=True, kw_only=True):
    """The credentials for a server: the text of a .creds file, an nkey seed, `user:password`, or a token."""

    kind: Literal["creds", "seed", "password", "token"]
    secret: Secret

    def options(self) -> dict[str, Any]:
        """The arguments of nats-py."""
        text = self.secret.reveal()
        match self.kind:
            case "creds":
                return {"user_credentials": RawCredentials(text)}
            case "seed":
                return {"nkeys_seed_str": text}
            case "password":
                user, _, password = text.partition(":")
                return {"user": user, "password": password}
            case "token":
                return {"token": text}


class Forbidden(Exception):
    """The server does not permit this user to publish or to subscribe to a subject."""


class NatsClient(Client):
    """The client of nats-py, which never sends credentials before TLS to a URL with `tls://`."""

    def __init__(self) -> None:
        super().__init__()
        self._subjects: dict[str, str] = {}  # by their lower-case text

    def translated(self, error: Exception) -> Exception:
        """Return `Forbidden` for an error about permissions.

        nats-py 2.16 turns errors into lower case, but the subjects of NATS are case-sensitive.
        """
        found = _FORBIDDEN.search(str(error))
        if found is None:
            return error
        action = "publish" if found[1] == "publish" else "subscribe"
        subject = self._subjects.get(found[2], found[2])
        # An inbox has another name at each connection. The permission is for the subject of its role.
        return Forbidden(f"{action} to {_OWN_INBOX.sub(lambda own: f'{own[1]}>', subject)}")

    async def _send_publish(self, subject: str, *arguments: Any) -> None:  # noqa: ANN401 - nats-py's, which may change
        self._remember(subject)
        await super()._send_publish(subject, *arguments)

    async def _send_subscribe(self, sub: Subscription) -> None:
        self._remember(sub.subject)
        await super()._send_subscribe(sub)

    @property
    def version(self) -> str:
        """The version of the server; empty while it is unknown."""
        return str(self._server_info.get("version", ""))

    def _remember(self, subject: str) -> None:
        self._subjects[subject.lower()] = subject
        if len(self._subjects) > MAX_SUBJECTS:
            del self._subjects[next(iter(self._subjects))]

    def _connect_command(self) -> bytes:
        assert self._current_server is not None  # noqa: S101 - nats-py has connected to it
        # nats-py would continue in clear text if the server, or someone in between, does not ask for TLS.
        if self._current_server.uri.scheme == "tls" and not self._server_info.get("tls_required"):
            raise errors.SecureConnWantedError
        if self._current_server.uri.scheme == "tls":
            # nats-py changes to TLS without telling the stream, which asyncio warns of when the connection ends.
            protocol: Any = getattr(getattr(self._transport, "_io_writer", None), "_protocol", None)
            protocol._over_ssl = True  # noqa: SLF001
        return super()._connect_command()

    async def answered(self, seconds: int) -> None:
        """Return once the server has reported its denials of everything sent so far.

        `flush` of nats-py 2.16 alone sends its ping before what still waits to be sent.
        """
        await self._flush_pending(force_flush=True)
        await self.flush(seconds)

    async def try_out(
        self, publish: Iterable[str], subscribe: Iterable[str], write: Iterable[str], seconds: int
    ) -> None:
        """Send an empty message to each subject of `publish`, and subscribe to the others until that is answered.

        `write` are the subjects of keys in JetStream, which stores none of these messages.
        """
        for subject in publish:
            await self.publish(subject, b"")
        for subject in write:
            await self.publish(subject, b"", headers=_UNWRITABLE)
        subscriptions = [await self.subscribe(subject) for subject in subscribe]
        await self.answered(seconds)
        for subscription in subscriptions:
            await subscription.unsubscribe()

    async def end(self) -> None:
        """Close the connection; abort it if the server does not accept the remaining data within `CLOSE_SECONDS`."""
        with contextlib.suppress(TimeoutError, OSError, errors.Error):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.close()
        writer = getattr(self._transport, "_io_writer", None)
        if writer is not None:
            writer.transport.abort()


async def open_client(
    url: str,
    login: BusLogin | None,
    context: Callable[[], ssl.SSLContext],
    *,
    name: str,
    inbox: str = "_INBOX",
    failed: Callable[[Exception], Awaitable[None]],
) -> NatsClient:
    """Connect to one server; the client does not reconnect.

    Args:
        url: `nats://` or `tls://`.
        login: the credentials; None if there are none, or only a client certificate in the context.
        context: returns the trust store, for TLS.
        name: how the server's monitoring shows the connection.
        inbox: the prefix of the subjects of answers.
        failed: gets each error of the connection, also later ones.

    Raises:
        ConnectionLost: the server cannot be reached, is not trusted, or does not answer.
        AccessDenied: it does not accept the credentials.
    """
    client = NatsClient()
    seen: list[Exception] = []

    async def note(error: Exception) -> None:
        seen.append(error)
        await failed(client.translated(error))

    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await client.connect(
                url,
                error_cb=note,
                name=name,
                inbox_prefix=inbox,
                allow_reconnect=False,
                max_reconnect_attempts=1,  # else it never gives up
                reconnect_time_wait=0,
                ping_interval=PING_SECONDS,  # type: ignore[arg-type]  # nats-py only sleeps for it
                flush_timeout=CONNECT_SECONDS,
                tls=context() if url.startswith("tls://") else None,
                **(login.options() if login else {}),
            )
    except (OSError, errors.Error) as error:
        await client.end()
        raise fault(seen[-1] if seen and isinstance(error, errors.NoServersError) else error) from error
    except BaseException:
        await client.end()
        raise
    if not client.is_connected:  # nats-py takes any line for the answer to CONNECT
        await client.end()
        raise ConnectionLost("it does not answer as a NATS server does")
    return client


def is_too_old(version: str) -> bool:
    """Whether a server of this version lacks features of JetStream that condord uses; False if it is unreadable."""
    return _is_older(version, MIN_VERSION)


def is_older_than_recommended(version: str) -> bool:
    """Whether a server works, but has an older version than recommended. An unreadable version does not count."""
    return _is_older(version, RECOMMENDED_VERSION)


def _is_older(version: str, than: tuple[int, int]) -> bool:
    found = re.match(r"(\d+)\.(\d+)", version)
    return found is not None and (int(found[1]), int(found[2])) < than


def fault(error: Exception | None) -> ConnectionLost | AccessDenied:
    """Return our error for an error of nats-py."""
    text = "" if error is None else str(error).removeprefix("nats: ").strip("'")
    if isinstance(error, errors.AuthorizationError) or any(refusal in text.lower() for refusal in _REFUSALS):
        return AccessDenied(f"the bus does not accept the credentials: {text}", _REFUSED_HINT)
    if isinstance(error, errors.SecureConnWantedError):
        return ConnectionLost("it offers no TLS")
    if isinstance(error, errors.TimeoutError):
        return ConnectionLost("no answer in time")
    if isinstance(error, errors.UnexpectedEOF):
        return ConnectionLost("the connection was lost")
    if isinstance(error, TimeoutError | errors.StaleConnectionError):  # without the time of one attempt
        return ConnectionLost("it does not answer")
    if isinstance(error, OSError) and not isinstance(error, errors.Error):
        return unreachable(error)
    # A server reports a denial without ending the connection, so a denial is not why it has ended.
    return ConnectionLost("the connection was lost" if not text or _FORBIDDEN.search(text) else text)
