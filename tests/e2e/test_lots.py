"""How orders determine the condors: costs to the cent, ids, rolls, replaced orders, also across restarts."""

import json

import pytest

from tests.e2e.environs import QUICK
from tests.e2e.running import KEYS, Condord, Follower, Simulated, closing_program, fetch, until

pytestmark = pytest.mark.slow

ORDERS = "/v2/orders"
AVERAGES = (0.523333, 1.236667, 1.116667, 0.453333)
COSTS = [157, -371, -335, 136]
SETTLED = {**QUICK, "CONDORD_REST_SETTLE_SECONDS": "0.5"}


class Book:
    """Condors on SPY far from the money, traded by market orders at given prices."""

    def __init__(self, simulated, expiration):
        self._simulated = simulated
        self._expiration = expiration
        self._held = {}

    def symbol(self, right, strike):
        return f"SPY{self._expiration}{right}{strike * 1000:08d}"

    def trade(self, quantity, strikes, prices=AVERAGES, **more):
        """One order that buys `quantity` condors at these strikes, or sells them."""
        self._fill(zip("PPCC", strikes, (1, -1, -1, 1), prices, strict=True), quantity, **more)

    def trade_puts(self, quantity, strikes, prices=AVERAGES):
        """One order for only the puts of such condors."""
        self._fill(zip("PP", strikes[:2], (1, -1), prices[:2], strict=True), quantity)

    def _fill(self, parts, quantity, **more):
        legs = []
        for right, strike, sign, price in parts:
            symbol = self.symbol(right, strike)
            self._held[symbol] = self._held.get(symbol, 0) + sign * quantity
            legs.append({"symbol": symbol, "qty": self._held[symbol], "avg_entry_price": price})
        self._simulated.post("positions", positions=legs, fill=True, **more)


NEAR, FAR = (611, 621, 851, 861), (601, 606, 866, 871)


@pytest.fixture
def start(simulated, tmp_path):
    def begin(program=simulated, **environ):
        return closing_program(Condord(program, **{**SETTLED, "STATE_DIRECTORY": str(tmp_path / "state"), **environ}))

    return begin


@pytest.fixture
def book(simulated):
    rows = simulated.ask("/v2/positions")
    symbol = next(row["symbol"] for row in rows if row["symbol"].startswith("SPY2"))
    return Book(simulated, symbol[3:9])


def cards(condord, strikes):
    """The condors at these strikes, by the suffix of their id."""
    document = condord.document()
    base = "-".join(map(str, strikes))
    return {c["id"].partition(base)[2]: c for c in document["condors"] if base in c["id"] and c["openedAt"] is not None}


def await_cards(condord, strikes, *numbers):
    def check():
        found = cards(condord, strikes)
        return found if set(found) == set(numbers) else None

    return until(check, lambda: f"{numbers} are shown: {list(cards(condord, strikes))}")


def test_the_cost_of_a_condor_comes_from_alpaca_and_not_from_a_rounded_average(start, book):
    with start() as condord:
        condord.await_account_read()
        book.trade(3, NEAR)
        card = await_cards(condord, NEAR, "")[""]
        assert [leg["costBasis"] for leg in card["legs"]] == COSTS
        assert (card["maxProfit"], card["maxLoss"], card["entrySource"]) == (413, 2587, "orders")


def test_thirty_condors_and_a_second_order_at_the_same_strikes_add_up_to_the_cent(start, book, simulated):
    with start() as condord:
        condord.await_account_read()
        book.trade(30, NEAR)
        assert await_cards(condord, NEAR, "")[""]["maxProfit"] == 4130
        book.trade(3, NEAR, (0.333333, 1.111111, 0.999999, 0.777777))
        old, new = (await_cards(condord, NEAR, "", "-2")[number] for number in ("", "-2"))
        assert [leg["costBasis"] for leg in new["legs"]] == [100, -333.33, -300, 233.33]
        costs = {row["symbol"]: float(row["cost_basis"]) for row in simulated.ask("/v2/positions")}
        for first, second in zip(old["legs"], new["legs"], strict=True):
            assert round(first["costBasis"] + second["costBasis"], 2) == costs[first["symbol"]]


def test_a_condor_rolled_by_two_orders_keeps_its_opening_time_and_its_realized_profit(start, book):
    with start() as condord:
        condord.await_account_read()
        book.trade(3, NEAR)
        opened = await_cards(condord, NEAR, "")[""]
        book.trade(-3, NEAR, (0.333333, 0.333333, 0.333333, 0.333333))
        book.trade(3, FAR)
        card = await_cards(condord, FAR, "")[""]
        assert (card["openedAt"], card["realizedPl"]) == (opened["openedAt"], 413)
        assert [leg["costBasis"] for leg in card["legs"]] == COSTS
        assert not cards(condord, NEAR)

        def priced():
            value = cards(condord, FAR)[""]["valuation"]
            return value if value["unrealizedPl"] is not None else None

        value = until(priced, "the new legs have quotes")
        of_profit = 100 * (value["unrealizedPl"] + 413) / (card["maxProfit"] + 413)
        assert value["percentOfMaxProfit"] == pytest.approx(of_profit, abs=0.006)


def test_the_second_of_two_condors_keeps_its_number_across_a_restart_after_the_first_is_closed(start, book, tmp_path):
    with start() as condord:
        condord.await_account_read()
        book.trade(1, NEAR)
        await_cards(condord, NEAR, "")
        book.trade(2, NEAR)
        second = await_cards(condord, NEAR, "", "-2")["-2"]
        book.trade(-1, NEAR)
        assert await_cards(condord, NEAR, "-2")["-2"]["openedAt"] == second["openedAt"]
        base = "-".join(map(str, NEAR))

        def is_kept():
            kept = [json.loads(path.read_text()) for path in (tmp_path / "state").glob("*-names.json")]
            names = [name for content in kept for name in content["content"].values()]
            return [name["number"] for name in names if base in name["base"]] == [2]

        until(is_kept, "only the name is saved")
        assert condord.stop() == 0
    with start() as condord:
        assert await_cards(condord, NEAR, "-2")["-2"]["openedAt"] == second["openedAt"]
        book.trade(1, NEAR)
        found = await_cards(condord, NEAR, "", "-2")
        assert found["-2"]["openedAt"] == second["openedAt"] < found[""]["openedAt"]


def test_a_condor_keeps_its_id_while_one_side_is_partly_closed(start, book):
    with start(CONDORD_REST_SETTLE_SECONDS="2") as condord:
        condord.await_account_read()
        book.trade(7, NEAR)
        opened = await_cards(condord, NEAR, "")[""]["openedAt"]
        follower = Follower(condord.url)
        book.trade_puts(-2, NEAR)

        call = book.symbol("C", NEAR[2])

        def is_left():
            left = [entry["quantity"] for entry in condord.document()["unmatched"] if entry["symbol"] == call]
            return left == [2] and [card["quantity"] for card in cards(condord, NEAR).values()] == [5]

        until(is_left, lambda: f"5 condors and 2 call spreads are left: {condord.document()['unmatched']}")
        assert not [notice for notice in condord.status()["notices"] if notice["code"] == "brokenCondor"]
        shown = [card for document in follower.documents.values() for card in document["condors"]]
        follower.close()
        assert {card["id"].partition("-611-621-851-861")[2] for card in shown if card["openedAt"] == opened} == {""}


def test_an_order_replaced_after_a_partial_fill_is_one_condor(start, book):
    with start() as condord:
        condord.await_account_read()
        book.trade(4, NEAR, ordered=10)
        assert await_cards(condord, NEAR, "")[""]["quantity"] == 4
        book.trade(6, NEAR, replaces=True)
        until(lambda: cards(condord, NEAR)[""]["quantity"] == 10, "both parts are one card")
        assert list(cards(condord, NEAR)) == [""]


def entry_sources(condord):
    return {condor["entrySource"] for condor in condord.document()["condors"]}


def test_another_key_of_the_same_account_uses_the_saved_state_and_another_account_does_not(start, simulated):
    with start() as condord:
        condord.await_account_read()
        assert condord.stop() == 0
    simulated.fault("rest-500", path=ORDERS, seconds=300)
    with start(CONDORD_REST_RETRIES="0", APCA_API_KEY_ID="ANOTHERKEY") as condord:
        until(lambda: entry_sources(condord) == {"orders"}, "the orders are known")
    with closing_program(Simulated("--seed", "2")) as other:
        other.fault("rest-500", path=ORDERS, seconds=300)
        with start(other, CONDORD_REST_RETRIES="0") as condord:
            condord.await_priced()
            assert entry_sources(condord) == {"structure"}


def test_an_unreadable_account_causes_a_notice_and_no_state_is_written_meanwhile(start, simulated, tmp_path):
    simulated.fault("rest-500", path="/v2/account", seconds=300)
    with start(CONDORD_REST_RETRIES="0") as condord:
        condord.await_account_read()
        unread = {"accountUnavailable", "activitiesUnavailable"}
        until(lambda: set(condord.notices()) == unread, lambda: f"{unread}: {condord.notices()}")
        assert not (tmp_path / "state").exists()
        simulated.clear()
        fetch(condord.url + "/api/refresh", method="POST")
        until(lambda: not condord.notices(), "the account is read")
        until(lambda: list((tmp_path / "state").glob("*-orders.json")), "the orders are saved")
    assert not any(KEYS["APCA_API_KEY_ID"] in path.read_text() for path in (tmp_path / "state").glob("*.json"))
