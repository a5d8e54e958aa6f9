"""Closed condors, from the orders and activities of a simulated account."""

import datetime as dt
import sqlite3
from contextlib import closing

import pytest

from tests.e2e.recording import await_fault, exchange_time, pass_minute, plain_condor, recording, refresh, still_market
from tests.e2e.running import fetch, until

pytestmark = pytest.mark.slow

CENT = 0.006


@pytest.fixture
def market():
    with still_market() as simulated:
        yield simulated


@pytest.fixture(scope="class")
def lasting_market():
    with still_market() as simulated:
        yield simulated


@pytest.fixture(scope="class")
def state(tmp_path_factory):
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="class")
def condord(lasting_market, state):
    """The daemon of all tests of a class."""
    with recording(lasting_market, state) as condord:
        yield condord


def trades(condord, query=""):
    status, body = condord.get(f"/api/trades{query}")
    assert status == 200, body
    return body


def await_past(condord, days=390):
    """The answer once the activities of the last `days` have been read."""

    def check():
        body = trades(condord)
        complete_from = body["totals"]["completeFrom"]
        is_read = complete_from and age(complete_from, condord) > dt.timedelta(days=days)
        return is_read and body["trades"] and body

    return until(check, lambda: f"the past is read: {trades(condord)['totals']} {condord.status()['notices']}")


def age(instant, condord):
    return dt.datetime.fromisoformat(condord.document()["asOf"]) - dt.datetime.fromisoformat(instant)


def close(simulated, condor):
    """Close a condor by orders, one for each leg."""
    symbols = [leg["symbol"] for leg in condor["legs"]]
    simulated.post("positions", positions=[{"symbol": symbol, "qty": 0} for symbol in symbols], fill=True)


def closing_cost(simulated, condor):
    """What closing the condor cost in dollars, by the account's newest fill of each leg."""
    rows = simulated.ask("/v2/account/activities?activity_types=FILL&direction=desc")
    newest = {}
    for row in rows:
        newest.setdefault(row["symbol"], row)
    sides = {"buy": 1, "buy_to_close": 1, "sell": -1, "sell_to_close": -1}
    fills = [newest[leg["symbol"]] for leg in condor["legs"]]
    return sum(sides[row["side"]] * float(row["qty"]) * float(row["price"]) * 100 for row in fills)


def await_trade(condord, condor):
    def check():
        found = [trade for trade in trades(condord)["trades"] if trade["id"] == condor["id"]]
        return found and found[0]

    return until(check, lambda: f"the trade is there: {trades(condord)['totals']}")


def assert_closed(simulated, condor, trade):
    """The trade is the whole condor, with the result of its fills."""
    assert (trade["how"], trade["quantity"]) == ("closed", condor["quantity"])
    assert trade["openedAt"] == condor["openedAt"]
    assert trade["credit"] == pytest.approx(condor["credit"], abs=0.0001)
    cost = closing_cost(simulated, condor)
    received = condor["credit"] * condor["multiplier"] * condor["quantity"]
    assert trade["realizedPl"] == pytest.approx(received - cost, abs=CENT)


class TestOneDaemon:
    """The trades of one account; the last test adds one."""

    def test_trades_closed_before_the_first_start_are_read_back(self, lasting_market, condord):
        body = await_past(condord)
        hows = {trade["how"] for trade in body["trades"]}
        assert {"closed", "expired", "assigned", "rolled"} <= hows
        closed = [trade["closedAt"] for trade in body["trades"]]
        assert closed == sorted(closed, reverse=True)
        known = [trade["realizedPl"] for trade in body["trades"] if trade["realizedPl"] is not None]
        totals = body["totals"]
        assert totals["trades"] == len(body["trades"]) == len(known) + totals["unknown"]
        assert totals["realizedPl"] == pytest.approx(sum(known), abs=CENT)
        assert totals["winners"] == sum(result > 0 for result in known)

    def test_trades_are_filtered_by_the_day_they_were_closed(self, lasting_market, condord):
        body = await_past(condord)
        day = dt.datetime.fromisoformat(body["trades"][-1]["closedAt"]).date() + dt.timedelta(days=2)
        early, late = trades(condord, f"?to={day - dt.timedelta(days=1)}"), trades(condord, f"?from={day}")
        assert late["trades"] + early["trades"] == body["trades"]
        assert late["trades"]
        assert early["trades"]
        assert late["totals"]["trades"] + early["totals"]["trades"] == body["totals"]["trades"]

    def test_while_the_database_is_locked_trades_come_from_memory(self, lasting_market, condord, state):
        body = await_past(condord)
        with closing(sqlite3.connect(state / "history.sqlite3", isolation_level=None)) as other:
            other.execute("BEGIN EXCLUSIVE")
            pass_minute(lasting_market, condord)
            await_fault(condord)
            assert [trade["id"] for trade in trades(condord)["trades"]] == [trade["id"] for trade in body["trades"]]
            other.execute("ROLLBACK")

    def test_a_condor_that_is_closed_becomes_a_trade(self, lasting_market, condord):
        await_past(condord)
        condor = plain_condor(condord)
        close(lasting_market, condor)
        assert_closed(lasting_market, condor, await_trade(condord, condor))


def test_trades_closed_while_condord_does_not_run_are_found_at_the_next_start(market, tmp_path):
    with recording(market, tmp_path) as condord:
        await_past(condord)
        before = trades(condord)["trades"]
        condor = plain_condor(condord)
        condord.stop()
    close(market, condor)
    with recording(market, tmp_path) as condord:
        assert_closed(market, condor, await_trade(condord, condor))
        after = trades(condord)["trades"]
        assert [trade for trade in after if trade["id"] != condor["id"]] == before


def test_trades_are_stored_without_history_too(market, tmp_path):
    with recording(market, tmp_path, CONDORD_HISTORY_ENABLED="false") as condord:
        before = await_past(condord)
        condord.stop()
    market.fault("rest-500", path="/v2/account/activities")
    with recording(market, tmp_path, CONDORD_HISTORY_ENABLED="false") as condord:
        refresh(condord)
        until(lambda: trades(condord)["trades"] == before["trades"], "the stored trades are there")
        assert trades(condord)["totals"]["completeFrom"] == before["totals"]["completeFrom"]


def test_a_part_of_an_order_is_dated_by_its_fill_and_not_by_the_end_of_the_rest(market, tmp_path):
    with recording(market, tmp_path) as condord:
        await_past(condord)
        condor = next(each for each in condord.document()["condors"] if each["quantity"] > 1)
        condord.stop()
    signs = {"long": -1, "short": 1}
    legs = [{"symbol": leg["symbol"], "qty": signs[leg["side"]]} for leg in condor["legs"]]
    order = market.post("orders", legs=legs, qty=condor["quantity"], limit_price=0.01, time_in_force="gtc")
    at = exchange_time(market)
    change(market, order["id"], "POST", "/fill", qty=1, prices={leg["symbol"]: 1.0 for leg in condor["legs"]})
    market.post("market", at=(at + dt.timedelta(minutes=20)).isoformat())
    change(market, order["id"], "DELETE")
    with recording(market, tmp_path) as condord:
        until(
            lambda: at <= closed_at(condord, condor) < at + dt.timedelta(minutes=5),
            lambda: f"the fill dates it: {await_trade(condord, condor)}",
        )
        trade = await_trade(condord, condor)
        assert (trade["how"], trade["quantity"]) == ("partlyClosed", 1)


def closed_at(condord, condor):
    return dt.datetime.fromisoformat(await_trade(condord, condor)["closedAt"])


def change(simulated, order_id, method, path="", **body):
    status, _, answer = fetch(f"{simulated.url}/simulator/orders/{order_id}{path}", method=method, body=body)
    assert status == 200, answer
