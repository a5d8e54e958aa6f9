"""What atheris tries: for each reader of others' bytes a function of bytes that raises when something is wrong.

The strategies of `tests.fuzz.damage` make of the bytes a frame or an answer, which is JSON or MessagePack more often than
the bytes alone. Those are tried of the option stream too, whose damaged frames are walked through in Python.
"""

import random
import sys
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from condord.upstream.faults import RestFault
from tests.fuzz import damage, decoders, samples, sockets

BROKEN = [b"\xc1", b"\xdd\xff\xff\xff\xff", b"\x91" * 2000, b"\xa2\xff\xfe"]
BYTES = "option_stream_bytes"


def _option_stream_bytes(data):
    """The first byte chooses the state of the link."""
    decoders.check_option_frame(decoders.STATES[data[0] % len(decoders.STATES)] if data else "live", data[1:])


def _made(check, *strategies):
    """A function of bytes that has the strategies make the arguments of `check`."""

    @settings(database=None, deadline=None)
    @given(st.tuples(*strategies))
    def tried(made):
        try:
            check(*made)
        except Exception:
            sys.stderr.write(f"made of it: {made!r}\n")
            raise

    return tried.hypothesis.fuzz_one_input


_STATES = st.sampled_from(decoders.STATES)
_ANSWERS = samples.rest_answers()
_EVENT = damage.EVENTS | st.sampled_from(samples.EVENTS).map(samples.encoded).flatmap(damage.spliced)

TARGETS = {
    BYTES: _option_stream_bytes,
    "option_stream": _made(decoders.check_option_frame, _STATES, damage.FRAMES | damage.FRAMES.flatmap(damage.spliced)),
    "trade_updates": _made(decoders.check_trading_frame, _STATES, _EVENT | damage.JSON),
    "sockets": _made(sockets.check_socket, sockets.SENT, sockets.CUTS, st.booleans()),
    **{
        name: _made(partial(decoders.check_answer, name), damage.BODIES[name] | damage.spliced(_ANSWERS[name]))
        for name in decoders.REST
    },
}


def seeds(name):
    """Inputs to begin with: frames, or bytes at random where a strategy makes something of them."""
    if name != BYTES:
        chance = random.Random(0)
        return [chance.randbytes(2**size) for size in range(4, 11)]
    packed = [samples.PACK(element) for element in samples.ELEMENTS]
    frames = [samples.frame(packed), *(samples.frame([element]) for element in packed), *BROKEN]
    return [bytes([decoders.STATES.index(state)]) + frame for state in ("subscribing", "live") for frame in frames]


def prove():
    """Valid answers are read: else a changed decoder would refuse everything, and nothing would be tried."""
    for name, body in _ANSWERS.items():
        read, _ = decoders.answer(name, body)
        if isinstance(read, RestFault):
            raise read
    ((status, *_), *_) = sockets.check_socket(b"GET /livez HTTP/1.0\r\nHost: localhost\r\n\r\n", [], needs_token=False)
    assert status == 200
