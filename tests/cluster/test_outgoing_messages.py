import asyncio
import contextlib

from nats import errors

from condord.cluster.outgoing_messages import MAX_QUEUED, MAX_QUEUED_BYTES, OutgoingMessages
from tests.virtualtime import run


class Client:
    """Takes `room` messages, and then none."""

    def __init__(self, room=MAX_QUEUED):
        self.room = room
        self.taken = []

    async def publish(self, subject, payload, headers):
        await asyncio.sleep(0)
        if len(self.taken) == self.room:
            raise errors.ConnectionClosedError
        self.taken.append((subject, payload, headers))


async def sent(messages, client):
    """Send for a moment; True if that ended because the client does not take a message."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(1):
            await messages.send(client)
            return True
    return False


def test_messages_are_sent_in_their_order():
    async def scenario():
        messages, client = OutgoingMessages(), Client()
        messages.put("a", b"1", None)
        messages.put("b", b"2", {"Name": "value"})
        assert not await sent(messages, client)
        messages.put("c", b"3", None)
        assert not await sent(messages, client)
        assert client.taken == [("a", b"1", None), ("b", b"2", {"Name": "value"}), ("c", b"3", None)]

    run(scenario())


def test_a_message_that_is_not_taken_ends_the_sending_and_is_lost():
    async def scenario():
        messages, client = OutgoingMessages(), Client(room=1)
        for number in range(3):
            messages.put("a", b"%d" % number, None)
        assert await sent(messages, client)
        assert [payload for _, payload, _ in client.taken] == [b"0"]

    run(scenario())


def test_their_number_and_their_bytes_are_bounded():
    async def scenario():
        messages = OutgoingMessages()
        for _ in range(MAX_QUEUED):
            assert messages.has_room(1)
            messages.put("a", b"1", None)
        assert not messages.has_room(0)
        messages.clear()
        assert (messages.has_room(MAX_QUEUED_BYTES), messages.has_room(MAX_QUEUED_BYTES + 1)) == (True, False)
        messages.put("a", b"x" * 100, None)
        assert not messages.has_room(MAX_QUEUED_BYTES)
        assert not await sent(messages, Client())
        assert messages.has_room(MAX_QUEUED_BYTES)

    run(scenario())


def test_forgotten_messages_are_not_sent():
    async def scenario():
        messages, client = OutgoingMessages(), Client()
        messages.put("a", b"1", None)
        messages.clear()
        assert not await sent(messages, client)
        assert client.taken == []

    run(scenario())
