"""Today's profit or loss, balances, closing orders and the last day of contracts, from the real daemon."""

import datetime as dt
from collections import defaultdict
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from tests.e2e.environs import trading
from tests.e2e.running import fetch, held_in, quoted_in, until

pytestmark = pytest.mark.slow

NEW_YORK = ZoneInfo("America/New_York")
CENT = 0.006
"""Profits are sums of exact amounts, compared as floats."""


@pytest.fixture(scope="module")
def still():
    """The default portfolio in a market whose quotes do not move."""
    with trading("default") as (simulated, condord):
        simulated.post("market", frozen=True)
        await_day(condord)
        yield simulated, condord


@pytest.fixture(scope="module")
def last_day():
    with trading("expiration-day") as (simulated, condord):
        await_day(condord)
        yield simulated, condord


def await_day(condord) -> dict:
    """The first document with all figures of the account for today."""
    return until(
        lambda: (
            (document := condord.document())["account"]
            and document["totals"]["dayPl"] is not None
            and document["totals"]["unmatchedDayPl"] is not None
            and document
        ),
        lambda: f"today's profit is known: {condord.document()['totals']} {condord.status()['notices']}",
    )


def notices(condord) -> set[str]:
    return {notice["code"] for notice in condord.status()["notices"]}


def refresh(condord) -> None:
    assert fetch(condord.url + "/api/refresh", method="POST")[0] == 202


def change_order(simulated, order_id: str, method: str, path: str = "", **body):
    status, _, answer = fetch(f"{simulated.url}/simulator/orders/{order_id}{path}", method=method, body=body)
    assert status == 200, answer
    return answer


def condor_of(condord, root: str) -> dict:
    """The condor of `root` that has a closing order, or the only one."""
    found = [condor for condor in condord.document()["condors"] if condor["root"] == root]
    return next((condor for condor in found if condor["closing"]), found[0])


def new_york(instant: str) -> str:
    return dt.datetime.fromisoformat(instant).astimezone(NEW_YORK).strftime("%m-%d %H:%M")


class Ledger:
    """Today's profit or loss by the formula, from the simulator's positions, closes and fills."""

    def __init__(self, simulated) -> None:
        self._simulated = simulated
        self.closes = {symbol: Decimal(row["lastday_price"]) for symbol, row in self._rows().items()}

    def _rows(self) -> dict[str, dict]:
        rows = self._simulated.ask("/v2/positions")
        return {row["symbol"]: row for row in rows if row["asset_class"] == "us_option"}

    def fills(self) -> dict[str, list[tuple[int, Decimal]]]:
        """Signed contracts and prices of today's fills, by symbol."""
        today = dt.datetime.fromisoformat(self._simulated.state()["at"]).astimezone(NEW_YORK).date()
        found = defaultdict(list)
        for row in self._simulated.ask(f"/v2/account/activities/FILL?date={today}"):
            sign = 1 if row["side"] == "buy" else -1
            found[row["symbol"]].append((sign * int(row["qty"]), Decimal(row["price"])))
        return found

    def day_pl(self, symbols, marks: dict[str, float]) -> float:
        """Multiplier x sum(q now x mark - q before x close) + cash of today's fills, of whole positions."""
        rows, fills, total = self._rows(), self.fills(), Decimal()
        for symbol in symbols:
            now = int(rows[symbol]["qty"]) if symbol in rows else 0
            before = now - sum(quantity for quantity, _ in fills[symbol])
            cash = -sum((quantity * price for quantity, price in fills[symbol]), Decimal())
            mark = Decimal(str(marks[symbol])) if now else Decimal()
            close = self.closes[symbol] if before else Decimal()
            total += 100 * (now * mark - before * close + cash)
        return float(total)


def marks_in(document: dict) -> dict[str, float]:
    return {quote["symbol"]: quote["mark"] for quote in document["quotes"]}


def symbols_of(condor: dict) -> list[str]:
    return [leg["symbol"] for leg in condor["legs"]]


def matching(simulated, condord) -> dict | None:
    """The document if its contracts and quotes are the simulator's."""
    document = condord.document()
    quoted = quoted_in(document)
    is_equal = held_in(document) == simulated.held() and quoted == simulated.quoted(quoted)
    return document if is_equal else None


def test_balances_are_alpacas_and_a_deposit_is_not_profit(still):
    simulated, condord = still
    account = condord.document()["account"]
    names = {"lastEquity": "last_equity", "cash": "cash", "buyingPower": "buying_power"}
    names |= {"optionsBuyingPower": "options_buying_power", "maintenanceMargin": "maintenance_margin"}
    simulated.post("transfers", amount="1000")
    refresh(condord)
    until(lambda: condord.document()["account"]["cash"] >= account["cash"] + 999, "the deposit is read")
    alpacas, account = simulated.ask("/v2/account"), condord.document()["account"]
    assert {name: account[name] for name in names} == {name: float(alpacas[theirs]) for name, theirs in names.items()}
    assert account["equity"] == pytest.approx(float(alpacas["equity"]), abs=CENT)
    assert account["dayPl"] == pytest.approx(account["equity"] - account["lastEquity"] - 1000, abs=CENT)


def test_today_is_the_change_since_yesterdays_close(still):
    simulated, condord = still
    document, ledger = until(lambda: matching(simulated, condord), "all quotes have arrived"), Ledger(simulated)
    marks = marks_in(document)
    for condor in document["condors"]:
        legs = set(symbols_of(condor))
        if sum(bool(legs & set(symbols_of(other))) for other in document["condors"]) == 1:
            assert condor["valuation"]["dayPl"] == pytest.approx(ledger.day_pl(legs, marks), abs=CENT), condor["id"]
    for entry in document["unmatched"]:
        assert entry["dayPl"] == pytest.approx(ledger.day_pl([entry["symbol"]], marks), abs=CENT)
    totals = document["totals"]
    assert totals["dayPl"] + totals["unmatchedDayPl"] == pytest.approx(ledger.day_pl(marks, marks), abs=CENT)
    assert totals["dayPl"] == pytest.approx(
        sum(each["dayPl"] for each in totals["byUnderlying"]) + totals["closedDayPl"], abs=CENT
    )


def test_a_condor_opened_today_counts_from_its_entry(still):
    simulated, condord = still
    ledger, held = Ledger(simulated), simulated.held()
    legs = symbols_of(condor_of(condord, "AAPL"))
    one_more = [{"symbol": symbol, "qty": held[symbol] + (1 if held[symbol] > 0 else -1)} for symbol in legs]
    simulated.post("positions", positions=one_more, fill=True)

    def check():
        document = matching(simulated, condord)
        if document is None or None in (document["totals"]["dayPl"], document["totals"]["unmatchedDayPl"]):
            return None
        expected = ledger.day_pl(marks := marks_in(document), marks)
        return document if abs(sum_of_the_day(document) - expected) < CENT else None

    document = until(check, lambda: f"the fills count: {condord.document()['totals']}")
    [new] = [condor for condor in document["condors"] if condor["id"].endswith("-2")]
    assert new["valuation"]["dayPl"] == pytest.approx(new["valuation"]["unrealizedPl"], abs=CENT)


def sum_of_the_day(document: dict) -> float:
    return document["totals"]["dayPl"] + document["totals"]["unmatchedDayPl"]


def test_only_the_newest_of_an_order_and_its_replacements_is_shown(still):
    simulated, condord = still
    condor = until(lambda: (found := condor_of(condord, "SPY"))["closing"] and found, "the closing order is read")
    [shown] = condor["closing"]
    [working] = simulated.ask("/v2/orders?status=open&nested=true")
    assert working["replaces"]
    assert (shown["orderId"], shown["quantity"]) == (working["id"], int(working["qty"]))
    assert shown["limitPrice"] == float(working["limit_price"])
    percent = 100 * (condor["credit"] - shown["limitPrice"]) / condor["credit"]
    assert shown["percentOfMaxProfit"] == pytest.approx(percent, abs=CENT)
    newest = change_order(simulated, shown["orderId"], "PATCH", limit_price="0.99")

    def closing():
        return [(order["orderId"], order["limitPrice"]) for order in condor_of(condord, "SPY")["closing"]]

    until(lambda: closing() == [(newest["id"], 0.99)], lambda: f"the replacement: {closing()}")
    change_order(simulated, newest["id"], "DELETE")
    puts = [{"symbol": leg["symbol"], "qty": 1 if leg["side"] == "short" else -1} for leg in condor["legs"][:2]]
    simulated.post("orders", legs=puts)
    until(lambda: [limit for _, limit in closing()] == [None], "it was cancelled, and one for the puts is placed")
    [one_side] = condor_of(condord, "SPY")["closing"]
    assert (one_side["percentOfMaxProfit"], one_side["quantity"]) == (None, 1)


def test_the_last_day_has_its_cutoffs_and_notices(last_day):
    _, condord = last_day
    document = condord.document()
    today = new_york(document["asOf"])[:5]
    on_time = {"lastTradingAt": "16:00", "settlesAt": "16:00", "orders": "15:15", "liquidation": "15:15"}
    expected = dict.fromkeys(("AAPL", "NVDA", "INTC"), on_time)
    expected["SPY"] = {"lastTradingAt": "16:15", "settlesAt": "16:15", "orders": "15:30", "liquidation": "15:15"}
    ending = [condor for condor in document["condors"] if condor["daysToExpiration"] == 0]
    assert {condor["root"] for condor in ending} == set(expected)
    for condor in ending:
        expiry = condor["expiry"]
        shown = {name: new_york(expiry[name]) for name in ("lastTradingAt", "settlesAt")}
        shown |= {cutoff["kind"]: new_york(cutoff["at"]) for cutoff in expiry["cutoffs"]}
        assert shown == {name: f"{today} {time}" for name, time in expected[condor["root"]].items()}
        assert {cutoff["source"] for cutoff in expiry["cutoffs"]} == {"config"}
    named = {notice["condorId"] for notice in document["status"]["notices"] if notice["code"] == "expiresToday"}
    assert named == {condor["id"] for condor in ending}


def test_on_the_last_day_theta_is_at_most_the_remaining_value(last_day):
    def ending():
        document = last_day[1].document()
        found = [condor for condor in document["condors"] if condor["daysToExpiration"] == 0]
        return (document, found) if all(condor["risk"]["theta"] is not None for condor in found) else None

    document, found = until(ending, "the figures are known")
    marks = marks_in(document)
    for condor in found:
        for leg in condor["risk"]["legs"]:
            assert 0.01 >= leg["theta"] >= -marks[leg["symbol"]] - 0.05


def test_a_filled_closing_order_is_todays_result_of_a_closed_condor(last_day):
    simulated, condord = last_day
    ledger, condor = Ledger(simulated), condor_of(condord, "IWM")
    change_order(simulated, condor["closing"][0]["orderId"], "POST", "/fill")
    expected = ledger.day_pl(symbols_of(condor), {})
    until(lambda: all(each["id"] != condor["id"] for each in condord.document()["condors"]), "it is closed")
    until(
        lambda: abs((condord.document()["totals"]["closedDayPl"] or 0) - expected) < CENT,
        lambda: f"{expected}: {condord.document()['totals']}",
    )
    totals = await_day(condord)["totals"]
    parts = sum(each["dayPl"] for each in totals["byUnderlying"])
    assert totals["dayPl"] == pytest.approx(parts + totals["closedDayPl"], abs=CENT)


@pytest.mark.parametrize(
    ("path", "notice"),
    [
        ("/v2/account", "accountUnavailable"),
        ("/v2/account/activities", "activitiesUnavailable"),
        ("/v2/orders", "ordersUnavailable"),
    ],
)
def test_values_of_the_account_that_cannot_be_read_are_null_and_everything_else_goes_on(path, notice):
    with trading("default", {"name": "rest-500", "path": path}) as (simulated, condord):
        until(lambda: notice in notices(condord), "the notice")
        document = condord.document()
        assert (document["status"]["state"], document["status"]["positions"]["error"]) == ("live", None)
        assert all(condor["valuation"]["unrealizedPl"] is not None for condor in document["condors"])
        until(lambda: condord.document()["totals"]["theta"] is not None, "risk figures do not depend on it")
        if path == "/v2/orders":
            await_day(condord)
            assert not any(condor["closing"] for condor in condord.document()["condors"])
        else:
            assert {condor["valuation"]["dayPl"] for condor in document["condors"]} == {None}
            assert (document["totals"]["dayPl"], document["totals"]["unmatchedDayPl"]) == (None, None)
        if path == "/v2/account":
            assert document["account"] is None
        if path == "/v2/account/activities":
            account = until(lambda: condord.document()["account"], "balances are read")
            assert (account["dayPl"], account["equity"] > 0) == (None, True)
        simulated.clear()
        refresh(condord)
        await_day(condord)
        until(lambda: condor_of(condord, "SPY")["closing"], "working orders are read")
        until(lambda: notice not in notices(condord), "the notice is gone")
