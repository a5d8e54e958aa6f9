import asyncio
import socket

import pytest

from condord.cluster.maker_channel import (
    Alive,
    Begin,
    ChannelEnd,
    CopyIsKept,
    HasBegun,
    HasRead,
    IsLoaded,
    KeepCopy,
    MakerError,
    StateCopy,
    packed,
    receive_first,
)

COPY = StateCopy(kind="life", name="life.json", content=bytes(range(256)) * 4000)
BEGIN = Begin(
    config_file=None,
    account_digest="a1b2",
    flags={"server.uds": "/s", "cluster.bus": ""},
    state_directory="/d",
    copies=(COPY,),
)
MESSAGES = [
    KeepCopy(number=1, copy=COPY),
    CopyIsKept(kind="life", number=1),
    IsLoaded(),
    HasBegun(),
    Alive(),
    HasRead(),
    MakerError(exit_code=78, text="a", hint="b"),
    BEGIN,
]


def test_messages_arrive_at_the_other_end_in_order():
    async def main():
        ours, theirs = socket.socketpair()
        one, other = await ChannelEnd.open(ours), await ChannelEnd.open(theirs)
        for message in MESSAGES:
            one.send(message)
        assert [await other.receive() for _ in MESSAGES] == MESSAGES
        one.close()
        assert await other.receive() is None
        other.send(HasRead())
        other.close()
        other.send(HasRead())

    asyncio.run(main())


def test_the_first_message_is_received_without_a_loop_and_leaves_the_next():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.settimeout(10)
        theirs.settimeout(10)
        small = Begin(config_file="/c", account_digest="a1b2", flags={}, state_directory="")
        ours.sendall(packed(small) + packed(HasRead()))
        assert receive_first(theirs) == small
        assert theirs.recv(100) == packed(HasRead())
        ours.close()
        with pytest.raises(EOFError):
            receive_first(theirs)
