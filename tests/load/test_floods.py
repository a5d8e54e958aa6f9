"""Floods of refreshes, trade updates and signals cause few requests to Alpaca and do not hide changes."""

import math
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from condord.upstream.poller import PACE_SECONDS
from condord.upstream.rate_limit import SHARES
from tests.e2e.preloaded import replaced
from tests.e2e.running import Condord, Simulated, closing_program, fetch, held_in, until

pytestmark = pytest.mark.slow

FASTER = 3.0
CALM = {
    "CONDORD_STREAM_BACKOFF_MIN_SECONDS": "0.05",
    "CONDORD_STREAM_BACKOFF_MAX_SECONDS": "0.5",
    "CONDORD_STREAM_SILENCE_SECONDS": "600",
    "CONDORD_STREAM_WINDOW_MS": "50",
    "CONDORD_REST_REFRESH_SECONDS": "600",
    **replaced(
        upstream__poller__PACE_SECONDS=PACE_SECONDS / FASTER,
        upstream__quote_polls__PACE_SECONDS=PACE_SECONDS / FASTER,
        upstream__rate_limit__SHARES={share: (limit.most, limit.seconds / FASTER) for share, limit in SHARES.items()},
    ),
}
"""Without a refresh, only the orders are read, every ten minutes. All limits apply to shorter times."""
MAX_REQUESTS = 12
"""The maximum requests to a path in a flood; one that takes longer, as on a busy machine, allows one more for every
period of the pace."""
FLOOD, FLOOD_SECONDS = 110, 9.0 / FASTER
QUIET_SECONDS = 3.0 / FASTER + 1.0
READERS = {
    "/v2/account/activities": 3,  # of the last days, of today, and of the past
    "/v2/orders": 2,
    "/v2/account": 2,
    "/v1beta1/options/quotes/latest": 2,  # contracts held, and their opposites
}
"""Paths that several reads use, each of which is limited by itself."""
READ = ("/v2/positions", "/v2/clock", "/v2/orders", "/v1beta1/options/quotes/latest")


@pytest.fixture
def simulated():
    """A simulator with Alpaca's limit of requests."""
    with closing_program(Simulated()) as program:
        yield program


@pytest.fixture
def condord(simulated):
    with closing_program(Condord(simulated, **CALM)) as program:
        program.await_state("live")
        program.await_account_read()
        program.await_priced()
        yield program


def requests(simulated) -> Counter[str]:
    """The number of requests to each path so far."""
    return Counter(simulated.state()["requests"])


def await_quiet(simulated) -> Counter[str]:
    """The number of requests to each path, once there were none for a while."""
    seen = [(time.monotonic(), requests(simulated))]

    def is_quiet():
        now, found = time.monotonic(), requests(simulated)
        if found != seen[0][1]:
            seen[0] = (now, found)
        return now - seen[0][0] > QUIET_SECONDS

    until(is_quiet, lambda: f"requests stop: {seen[0][1]}", pause=0.1)
    return seen[0][1]


class Flood:
    """The duration of a flood, once it is over, and the maximum of requests to a path during it."""

    seconds = 0.0

    @property
    def most(self) -> int:
        return MAX_REQUESTS + math.ceil(max(0.0, self.seconds - FLOOD_SECONDS) * FASTER / PACE_SECONDS)


@contextmanager
def flooding(send, count=FLOOD, seconds=FLOOD_SECONDS):
    """Call `send` `count` times in `seconds`, in a thread; raises what a call raises."""
    result = Flood()

    def flood():
        began = time.monotonic()
        for number in range(count):
            time.sleep(max(0.0, began + seconds * number / count - time.monotonic()))
            send()
        result.seconds = time.monotonic() - began

    with ThreadPoolExecutor(1) as pool:
        flooded = pool.submit(flood)
        yield result
        flooded.result()


def asked_since(before, simulated) -> dict[str, int]:
    """The number of requests to each path since `before`, once they stop."""
    return dict(await_quiet(simulated) - before)


def is_within(asked, most) -> bool:
    """Whether no path was requested more than `most` times for each of its readers."""
    return all(count <= most * READERS.get(path, 1) for path, count in asked.items())


def test_a_flood_of_refreshes_costs_a_dozen_requests_per_path_and_a_change_is_still_seen(simulated, condord):
    before = await_quiet(simulated)

    def refresh():
        assert fetch(f"{condord.url}/api/refresh", method="POST")[0] == 202

    with flooding(refresh) as flood:
        time.sleep(FLOOD_SECONDS / 2)
        symbol, quantity = next(iter(held_in(condord.document()).items()))
        simulated.post("positions", positions=[{"symbol": symbol, "qty": 2 * quantity}])
        until(lambda: held_in(condord.document())[symbol] == 2 * quantity, "the change is seen")
        assert condord.status()["positions"]["error"] is None
    asked = asked_since(before, simulated)
    assert all(asked[path] > 1 for path in READ), asked
    assert is_within(asked, flood.most), asked


def test_thousands_of_trade_updates_cost_a_dozen_requests_per_path_and_a_fill_is_seen(simulated, condord):
    before = await_quiet(simulated)
    with flooding(lambda: simulated.fault("update-burst"), count=30) as flood:
        time.sleep(FLOOD_SECONDS / 2)
        symbol, quantity = next(iter(held_in(condord.document()).items()))
        simulated.post("positions", positions=[{"symbol": symbol, "qty": 2 * quantity}], fill=True)
        until(lambda: held_in(condord.document())[symbol] == 2 * quantity, "the fill is seen")
    assert simulated.state()["updatesSent"] == 30_001
    asked = asked_since(before, simulated)
    assert all(asked[path] > 1 for path in ("/v2/positions", "/v2/orders")), asked
    assert is_within(asked, flood.most), asked


def test_a_flood_of_signals_costs_a_dozen_requests_per_path_and_as_many_connections(simulated, condord):
    simulated.fault("auth-402", seconds=600)
    simulated.fault("close-1001")
    condord.await_state("halted")
    before = await_quiet(simulated)
    connections = simulated.state()["streams"]["option"]["accepted"]
    with flooding(lambda: condord.process.send_signal(signal.SIGHUP), count=60) as flood:
        pass
    asked = asked_since(before, simulated)
    assert asked["/v2/positions"] > 1
    assert is_within(asked, flood.most), asked
    assert 1 < simulated.state()["streams"]["option"]["accepted"] - connections <= flood.most
    simulated.clear()
    condord.process.send_signal(signal.SIGHUP)
    condord.await_state("live")


def test_positions_are_read_after_contracts_and_orders_have_exhausted_their_budget(simulated, condord):
    """The account has forty roots, each of which takes one request for a contract."""
    roots = [f"A{chr(65 + number // 26)}{chr(65 + number % 26)}" for number in range(40)]
    held = [{"symbol": f"{root}261218P00050000", "qty": 1, "avg_entry_price": 1} for root in roots]
    simulated.post("positions", positions=held)
    fetch(f"{condord.url}/api/refresh", method="POST")
    until(lambda: f"{roots[0]}261218P00050000" in held_in(condord.document()), "the positions are shown")
    until(lambda: 'condord_rest_budget_room{share="spare"} 0.0' in condord.get("/metrics")[1], "the share is used up")
    symbol, quantity = next(iter(held_in(condord.document()).items()))
    simulated.post("positions", positions=[{"symbol": symbol, "qty": 2 * quantity}], fill=True)
    until(lambda: held_in(condord.document())[symbol] == 2 * quantity, "the fill is seen")
    assert condord.status()["positions"]["error"] is None
