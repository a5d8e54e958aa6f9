"""Read and write keys in a bucket of NATS JetStream, and change a key only if its revision is the expected one."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from nats import errors
from nats.js import JetStreamContext, api
from nats.js import errors as js_errors
from nats.js.kv import KeyValue

from condord.cluster.bus import Bus, BusError
from condord.cluster.nats_client import fault
from condord.tasks import check_cancelled

CALL_SECONDS = 5.0
REPLICAS = (3, 1)
"""How many servers store a new bucket: 3, or 1 if there are fewer."""
NO_JETSTREAM_REMEDY = (
    "add jetstream { store_dir: ... } to the configuration of nats-server, and allow the user to use it"
)
_OTHER_REVISION = (10_071, 10_164)  # wrong last sequence

_log = logging.getLogger(__name__)
_T = TypeVar("_T")


def key_subject(bucket: str, key: str) -> str:
    """Return the subject to which the values of a key are published."""
    return f"$KV.{bucket}.{key}"


class Conflict(Exception):
    """The key does not have the expected revision; nothing was changed."""


class BusRefusal(BusError):
    """JetStream or the server refuses the request; nothing was changed. `remedy` is what to do, or empty."""

    def __init__(self, text: str, remedy: str = "") -> None:
        self.remedy = remedy
        super().__init__(text)


class KeyState(NamedTuple):
    """A value and its revision, which rises with each change of any key in the bucket."""

    value: bytes
    revision: int


class BucketInfo(NamedTuple):
    """How long values last, in seconds or None, and when the bucket was created, in ms since 1970 by the bus's clock.

    `is_unused`: nothing was ever written to it.
    """

    ttl_seconds: float | None
    made_ms: int
    is_unused: bool


class KvBucket:
    """One bucket, with file storage.

    The first write creates it if it does not exist. With `is_made_before`, the caller creates it with `ensure`.

    `ttl_seconds` is how long a value lives, None for as long as the bucket. Each call takes at most `seconds`.
    """

    def __init__(
        self,
        bus: Bus,
        name: str,
        *,
        ttl_seconds: float | None = None,
        seconds: float = CALL_SECONDS,
        is_made_before: bool = False,
    ) -> None:
        self._bus = bus
        self._seconds = seconds
        self._name = name
        self._stream = f"KV_{name}"
        self._ttl_seconds = ttl_seconds
        self._is_made_before = is_made_before

    async def get(self, key: str) -> KeyState | None:
        """Return the value and revision of a key; None if it does not exist.

        Raises:
            BusError: the bus is lost, or JetStream does not answer.
        """
        try:
            entry = await self._call(lambda: self._keys().get(key))
        except js_errors.KeyNotFoundError:
            return None
        return KeyState(entry.value or b"", entry.revision or 0)

    async def put(self, key: str, value: bytes) -> int:
        """Set a key, and return its revision.

        Raises:
            BusError: it may or may not be set.
        """
        return await self._write(lambda: self._keys().put(key, value))

    async def create(self, key: str, value: bytes) -> int:
        """Set a key that does not exist, and return its revision.

        Raises:
            Conflict: it exists.
            BusError: it may or may not be set.
        """
        return await self._write(lambda: self._keys().create(key, value))

    async def update(self, key: str, value: bytes, revision: int) -> int:
        """Set a key that has this revision, and return the new one.

        Raises:
            Conflict: it has another one, or does not exist.
            BusError: it may or may not be set.
        """
        return await self._write(lambda: self._keys().update(key, value, last=revision))

    async def delete(self, key: str, revision: int) -> None:
        """Remove a key that has this revision.

        Raises:
            Conflict: it has another one.
            BusError: it may or may not be removed.
        """
        await self._call(lambda: self._keys().delete(key, last=revision))

    async def keys(self) -> list[str]:
        """Return the keys that exist or were deleted within their TTL, sorted.

        Raises:
            BusError: the bus is lost, or JetStream does not answer.
        """
        prefix = key_subject(self._name, "")
        info = await self._info(f"{prefix}>")
        found = {} if info is None else info.state.subjects or {}
        return sorted(subject.removeprefix(prefix) for subject in found)

    async def ensure(self) -> BucketInfo:
        """Create the bucket if it does not exist, and return its settings.

        The TTL of an empty bucket is changed to `ttl_seconds`; the TTL of a bucket with values stays.

        Raises:
            BusError: the bus is lost, or JetStream does not answer, or refuses.
        """
        info = await self._info()
        if info is None:
            await self._make()
            info = await self._info()
        if info is None or info.created is None:
            raise BusError(f"the bucket {self._name} was removed")
        found = BucketInfo(info.config.max_age or None, int(info.created.timestamp() * 1000), not info.state.last_seq)
        if found.ttl_seconds == self._ttl_seconds or info.state.messages:
            return found
        window = min(120.0, self._ttl_seconds or 120.0)
        config = info.config.evolve(max_age=self._ttl_seconds or 0, duplicate_window=window)
        await self._call(lambda: self._js.update_stream(config))
        return found._replace(ttl_seconds=self._ttl_seconds)

    async def _make(self) -> None:
        for replicas in REPLICAS:
            config = api.KeyValueConfig(bucket=self._name, ttl=self._ttl_seconds, replicas=replicas)

            def make(config: api.KeyValueConfig = config) -> Awaitable[KeyValue]:
                return self._js.create_key_value(config)

            try:
                await self._call(make)
            except BusRefusal:
                if replicas == REPLICAS[-1]:
                    raise
                continue
            _log.info("A bucket was made", extra={"fields": {"bucket": self._name, "replicas": replicas}})
            break

    @property
    def _js(self) -> JetStreamContext:
        return self._bus.js(self._seconds)

    def _keys(self) -> KeyValue:
        # `JetStreamContext.key_value` would first request the bucket. Its KeyValue would also read directly from a
        # server that may be a moment behind, and that does not answer if there is no bucket (nats-server 2.9).
        return KeyValue(self._name, self._stream, key_subject(self._name, ""), self._js, direct=False)

    async def _info(self, subjects: str | None = None) -> api.StreamInfo | None:
        try:
            return await self._call(lambda: self._js.stream_info(self._stream, subjects_filter=subjects))
        except js_errors.KeyNotFoundError:
            return None

    async def _write(self, write: Callable[[], Awaitable[int]]) -> int:
        """Write; if there is no bucket, create it first."""
        try:
            return await self._call(write)
        except js_errors.KeyNotFoundError as error:
            if self._is_made_before:
                raise BusError(f"there is no bucket {self._name}") from error
            await self.ensure()
            return await self._call(write)

    async def _call(self, call: Callable[[], Awaitable[_T]]) -> _T:
        """Call, and translate the errors of nats-py.

        Raises:
            Conflict: the key has another revision.
            KeyNotFoundError: there is no such key, or no bucket.
            BusError: any other error.
        """
        try:
            return await call()
        except (js_errors.KeyNotFoundError, js_errors.NotFoundError, js_errors.NoStreamResponseError) as error:
            raise js_errors.KeyNotFoundError from error
        except js_errors.KeyWrongLastSequenceError as error:
            raise Conflict from error
        except js_errors.ServiceUnavailableError as error:
            reason = error.description or "the server or this user has none"
            raise BusRefusal(f"JetStream does not answer: {reason}", NO_JETSTREAM_REMEDY) from error
        except js_errors.APIError as error:
            if error.err_code in _OTHER_REVISION:
                raise Conflict from error
            raise BusRefusal(f"JetStream refuses: {error.description or fault(error)}") from error
        except (errors.Error, OSError) as error:
            raise BusError(self._bus.why(error)) from error
        finally:
            check_cancelled()
