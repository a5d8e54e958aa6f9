"""The targets of atheris: for each reader of foreign bytes, a function of bytes that raises on a fault.

The strategies of `tests.fuzz.damage` turn the bytes into a frame or a response, as raw bytes are seldom valid JSON or
MessagePack. The option stream is also tried with raw bytes, as its damaged frames are parsed in Python.
"""

import random
import sys
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from condord.upstream.rest_fault import RestFault
from tests.fuzz import damage, decoders, exchanges, samples, sockets

BROKEN = [b"\xc1", b"\xdd\xff\xff\xff\xff", b"\x91" * 2000, b"\xa2\xff\xfe"]
BYTES, EXCHANGES, SOCKET_FRAMES = "option_stream_bytes", "rest_bytes", "socket_frames"


def _option_stream_bytes(data):
    """The first byte chooses the state of the link."""
    decoders.check_option_frame(decoders.STATES[data[0] % len(decoders.STATES)] if data else "live", data[1:])


def _made(check, *strategies):
    """A function of bytes, from which the strategies generate the arguments of `check`."""

    @settings(database=None, deadline=None)
    @given(st.tuples(*strategies))
    def tried(generated):
        try:
            check(*generated)
        except Exception:
            sys.stderr.write(f"generated: {generated!r}\n")
            raise

    return tried.hypothesis.fuzz_one_input


_STATES = st.sampled_from(decoders.STATES)
_ANSWERS = samples.rest_answers()
_EVENT = damage.EVENTS | st.sampled_from(samples.EVENTS).map(samples.encoded).flatmap(damage.spliced)

TARGETS = {
    BYTES: _option_stream_bytes,
    EXCHANGES: exchanges.check_exchange,
    SOCKET_FRAMES: exchanges.check_frames,
    "option_stream": _made(decoders.check_option_frame, _STATES, damage.FRAMES | damage.FRAMES.flatmap(damage.spliced)),
    "stock_stream": _made(decoders.check_stock_frame, _STATES, damage.FRAMES | damage.FRAMES.flatmap(damage.spliced)),
    "trade_updates": _made(decoders.check_trading_frame, _STATES, _EVENT | damage.JSON),
    "sockets": _made(sockets.check_socket, sockets.SENT, sockets.CUTS, st.booleans()),
    **{
        name: _made(partial(decoders.check_answer, name), damage.BODIES[name] | damage.spliced(_ANSWERS[name]))
        for name in decoders.REST
    },
}


def seeds(name):
    """The initial inputs: frames, or random bytes for targets with strategies."""
    if name == EXCHANGES:
        return [bytes([index]) + answer for index in range(len(exchanges.NAMES)) for answer in exchanges.ANSWERS]
    if name == SOCKET_FRAMES:
        return exchanges.FRAMES
    if name != BYTES:
        chance = random.Random(0)
        return [chance.randbytes(2**size) for size in range(4, 11)]
    packed = [samples.PACK(element) for element in samples.ELEMENTS]
    frames = [samples.frame(packed), *(samples.frame([element]) for element in packed), *BROKEN]
    return [bytes([decoders.STATES.index(state)]) + frame for state in ("subscribing", "live") for frame in frames]


def prove():
    """Check that valid responses are read. Otherwise a changed decoder could refuse everything and test nothing."""
    for name, body in _ANSWERS.items():
        read, _ = decoders.answer(name, body)
        if isinstance(read, RestFault):
            raise read
    ((status, *_), *_) = sockets.check_socket(b"GET /livez HTTP/1.0\r\nHost: localhost\r\n\r\n", [], needs_token=False)
    assert status == 200
