"""The daemon uses little memory and keeps serving, whatever responses it gets in place of Alpaca's."""

import functools
import gzip
import json
import os
import re
import struct
import sys
import time
import urllib.request
import zlib
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.e2e.environs import UNPACED
from tests.e2e.preloaded import replaced
from tests.e2e.running import Condord, closing_program, until
from tests.fakes.rest import Answer, Raw, RestServer

pytestmark = pytest.mark.slow

MIB = 1 << 20
MAX_BYTES = 64 * MIB
GZIP_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\x02\xff"
GOOD = {
    "/v2/positions": [],
    "/v2/orders": [],
    "/v2/calendar": [],
    "/v1beta1/options/quotes/latest": {"quotes": {}},
    "/v2/clock": {
        "timestamp": "2026-11-20T10:00:00-05:00",
        "is_open": True,
        "next_open": "2026-11-23T09:30:00-05:00",
        "next_close": "2026-11-20T16:00:00-05:00",
    },
}
ENVIRON = {
    "CONDORD_REST_RETRIES": "0",
    "CONDORD_REST_BREAKER_FAILURES": "1000",
    "CONDORD_REST_TIMEOUT_SECONDS": "5",
    **replaced(**UNPACED),
}


def bomb(size):
    """A gzip body of `size` spaces, which is quickly made: the same compressed mebibyte again and again (RFC 1952)."""
    spaces = b" " * MIB
    packing = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    block = packing.compress(spaces) + packing.flush(zlib.Z_FULL_FLUSH)
    count = size // MIB
    checksum = functools.reduce(lambda so_far, _: zlib.crc32(spaces, so_far), range(count), 0)
    end = packing.flush() + struct.pack("<II", checksum, count * MIB)
    return Answer(GZIP_HEAD + block * count + end, headers={"Content-Encoding": "gzip"})


def packed(body):
    return Answer(gzip.compress(body, 1), headers={"Content-Encoding": "gzip"})


ROW = {"asset_class": "us_equity", "symbol": "", "qty": "1", "side": "long", "exchange": "x" * 1000}
ANSWERS = {
    "a gzip of a gigabyte": lambda: bomb(1024 * MIB),
    "a gzip in a gzip": lambda: Answer(gzip.compress(bomb(256 * MIB).body), headers={"Content-Encoding": "gzip, gzip"}),
    "empty objects up to the bound": lambda: packed(b"[" + b"{}," * (8 * MIB // 3 - 2) + b"{}]"),
    "as many values as are read": lambda: packed(b"[" + b'{"a":0},' * 99_000 + b"{}]"),
    "as many rows as are read": lambda: packed(
        json.dumps([ROW | {"symbol": f"S{number}"} for number in range(12_000)]).encode()
    ),
    "one row of many values": lambda: packed(b"[[" + b'{"":0},' * 37_000 + b"{}]]"),
    "text beyond Latin, and no JSON": lambda: packed(b'["\xf0\x9f\x98\x80' + b"x" * (8 * MIB - 20) + b'",NaN]'),
    "a body without an end": lambda: Answer(b"[" + b" " * 40 * MIB, length=10**9),
    "an error without an end": lambda: Answer(b"x" * 40 * MIB, 500, length=10**9),
    "a redirect without an end": lambda: Answer(
        b"x" * 40 * MIB, 302, {"Location": "http://127.0.0.1:9/"}, length=10**9
    ),
    "a head without an end": lambda: Raw(b"HTTP/1.1 200 OK\r\n" + (b"X-Big: " + b"x" * 60_000 + b"\r\n") * 90),
}


def memory(pid, name):
    """A memory figure of a process, in bytes (proc(5))."""
    return int(re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) * 1024


@pytest.fixture(scope="module")
def scenario():
    """A daemon that has read an account from our REST server."""
    with RestServer() as server:
        good = {path: [Answer(answer)] for path, answer in GOOD.items()}
        server.script = good
        stream = f"ws://127.0.0.1:9/{server.server_address[1]}"  # unique, as the lock allows one daemon per stream
        urls = {"tradingUrl": server.url, "dataUrl": server.url, "optionStreamUrl": stream, "tradingStreamUrl": stream}
        with closing_program(Condord(SimpleNamespace(urls=urls), **ENVIRON)) as condord:
            until(lambda: condord.status()["positions"]["readAt"], "the account is read")
            until(lambda: condord.status()["positions"]["error"] is None, "and all else")
            yield server, condord, good


@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="the kernel cannot forget a peak")
@pytest.mark.parametrize("name", ANSWERS)
def test_no_response_takes_more_than_64_mib_and_the_daemon_keeps_serving(scenario, name):
    server, condord, good = scenario
    hostile = ANSWERS[name]()
    pid = condord.process.pid
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    idle = memory(pid, "VmRSS")
    server.script = {**good, "/v2/positions": [hostile], "/v2/orders": [hostile]}
    read_at = condord.status()["positions"]["readAt"]
    _refresh(condord)
    waits = []

    def is_judged():
        began = time.monotonic()
        assert condord.get("/livez")[0] == 200
        waits.append(time.monotonic() - began)
        positions = condord.status()["positions"]
        return positions["error"] or positions["readAt"] != read_at

    until(is_judged, "the answer is taken or refused")
    peak = memory(pid, "VmHWM") - idle
    sys.stderr.write(f"{name}: {peak / MIB:.1f} MiB above idle, /livez within {max(waits):.3f} s\n")
    assert peak < MAX_BYTES
    server.script = good
    _refresh(condord)
    until(lambda: condord.status()["positions"]["error"] is None, "it is well again")


def _refresh(condord):
    with closing(urllib.request.urlopen(urllib.request.Request(f"{condord.url}/api/refresh", method="POST"))):
        pass
