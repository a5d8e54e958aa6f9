import datetime as dt
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from condord.simulator import activities
from condord.simulator.account import Account
from condord.simulator.market import Market
from condord.simulator.orders import Execution
from tests.examples import examples
from tests.simulator.builders import make_quote

AT = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)
PUT = "SPY261218P00715000"
CALL = "SPY261218C00770000"


@pytest.fixture
def account():
    return Account(Market(seed=1, at=AT.timestamp()))


def mark(account, symbol, bid, ask):
    account.market.pin([make_quote(symbol, bid=bid, ask=ask)], hold=True)


@pytest.mark.parametrize(
    "use",
    [
        lambda account: account.orders,
        lambda account: account.activities,
        lambda account: account.account_json(),
        lambda account: account.deposit(AT),
        lambda account: account.trade([(CALL, 1, Decimal(1))], AT),
        lambda account: account.advance(AT + dt.timedelta(days=1), None),
    ],
    ids=["orders", "activities", "cash", "deposit", "trade", "next day"],
)
def test_the_past_is_written_once_it_is_needed_and_only_once(account, use):
    account.advance(AT, None)
    written = []
    account.set_past(lambda: written.append(len(account.orders)))
    assert account.positions() == []
    assert written == []
    for _ in range(2):
        use(account)
    assert written == [0]


@pytest.mark.parametrize("symbol", [PUT, "SPY261217P00715000"])  # the second is not listed
def test_a_contract_that_was_not_requested_before_is_marked_at_its_value(account, symbol):
    mark = account.mark(symbol)
    assert float(mark) == pytest.approx(account.market.theoretical_value(symbol).price, abs=0.02)
    assert mark > 1
    assert account.mark("NONE") == 0


def test_a_short_position_has_negative_quantity_value_and_cost(account):
    mark(account, PUT, 2.5, 2.6)
    account.set_position(PUT, -2, Decimal("4.26"))
    row = account.position(PUT)
    assert (row["qty"], row["qty_available"], row["side"]) == ("-2", "-2", "short")
    assert (row["cost_basis"], row["market_value"], row["unrealized_pl"]) == ("-852", "-510", "342")
    assert (row["avg_entry_price"], row["current_price"]) == ("4.26", "2.55")
    assert Decimal(row["unrealized_plpc"]) == pytest.approx(Decimal(342) / 852)
    assert (row["asset_class"], row["exchange"]) == ("us_option", "")


@given(
    quantity=st.integers(-9, 9).filter(bool),
    entry=st.integers(1, 50_000),
    bid=st.integers(0, 50_000),
    spread=st.integers(1, 500),
)
def test_positions_follow_the_formulas(quantity, entry, bid, spread):
    account = Account(Market(seed=1, at=AT.timestamp()))
    mark(account, PUT, bid / 100, (bid + spread) / 100)
    account.set_position(PUT, quantity, Decimal(entry) / 100)
    row = {key: Decimal(value) for key, value in account.position(PUT).items() if key not in {
        "asset_id", "symbol", "exchange", "asset_class", "side", "asset_marginable",
    }}  # fmt: skip
    size = quantity * 100
    assert row["cost_basis"] == row["avg_entry_price"] * size
    assert row["market_value"] == row["current_price"] * size
    assert row["unrealized_pl"] == row["market_value"] - row["cost_basis"]
    assert row["unrealized_intraday_pl"] == (row["current_price"] - row["lastday_price"]) * size
    change = row["change_today"] * row["lastday_price"]
    assert float(change) == pytest.approx(float(row["current_price"] - row["lastday_price"]), abs=1e-9)


def test_the_multiplier_is_1_for_shares_and_100_for_contracts(account):
    account.set_position("AAPL", 100, Decimal(300))
    row = account.position("AAPL")
    assert (row["cost_basis"], row["asset_class"], row["exchange"]) == ("30000", "us_equity", "NASDAQ")


def test_buying_more_averages_the_entry_and_keeps_the_cost_exact(account):
    account.trade([(CALL, -1, Decimal("1.70"))], AT)
    account.trade([(CALL, -2, Decimal("1.59"))], AT)
    row = account.position(CALL)
    assert (row["cost_basis"], row["avg_entry_price"]) == ("-488", "1.626666666666667")


def test_reducing_a_position_keeps_the_entry_and_flipping_it_resets_the_entry(account):
    account.trade([(CALL, 4, Decimal("1.00"))], AT)
    account.trade([(CALL, -1, Decimal("3.00"))], AT)
    assert account.position(CALL)["avg_entry_price"] == "1"
    account.trade([(CALL, -5, Decimal("2.00"))], AT)
    assert (account.position(CALL)["qty"], account.position(CALL)["avg_entry_price"]) == ("-2", "2")
    account.trade([(CALL, 2, None)], AT)
    assert account.position(CALL) is None


def test_the_day_profit_of_a_position_opened_today_counts_from_its_entry(account):
    mark(account, CALL, 2.0, 2.0)
    account.trade([(CALL, 1, Decimal("1.50"))], AT)
    row = account.position(CALL)
    assert row["unrealized_intraday_pl"] == row["unrealized_pl"] == "50"


def test_a_fill_is_an_order_activities_and_a_trade_update(account):
    update = account.trade([(CALL, -1, Decimal("3.29")), (PUT, -1, None)], AT)
    assert update["data"]["position_qtys"] == {CALL: "-1", PUT: "-1"}
    assert account.orders == [update["data"]["order"]]
    assert [row["activity_type"] for row in account.activities] == ["FILL", "FEE", "FILL", "FEE"]


@pytest.mark.parametrize(
    ("before", "quantity", "entry"), [(0, 2, "5"), (2, 2, "4.5"), (4, -2, "4"), (-1, 3, "5"), (1, -1, None)]
)
def test_an_adjusted_position_changes_the_cash_and_leaves_no_order(account, before, quantity, entry):
    cash = Decimal(account.account_json()["cash"])
    account.set_position("SPY", before, Decimal(4))
    account.adjust_position("SPY", quantity, Decimal(5))
    row = account.position("SPY")
    assert (row and row["avg_entry_price"]) == entry
    assert cash - Decimal(account.account_json()["cash"]) == 5 * quantity
    assert account.orders == account.activities == []


def test_setting_a_position_to_0_removes_it_and_without_an_entry_keeps_the_entry(account):
    account.set_position(PUT, -2, Decimal(4))
    account.set_position(PUT, -1)
    assert account.position(PUT)["avg_entry_price"] == "4"
    account.set_position(PUT, 0)
    assert account.position(PUT) is None


def test_a_cost_is_in_whole_cents(account):
    account.trade([(PUT, 3, Decimal("0.523333")), (CALL, -3, Decimal("1.236667"))], AT)
    assert [row["cost_basis"] for row in account.positions()] == ["-371", "157"]


def test_an_order_may_replace_the_last_one(account):
    account.trade([(PUT, 4, Decimal(1)), (CALL, -4, Decimal(1))], AT, ordered=10)
    account.trade([(PUT, 6, Decimal(1)), (CALL, -6, Decimal(1))], AT, replaces=True)
    old, new = account.orders
    assert (old["replaced_by"], new["replaces"]) == (new["id"], old["id"])
    assert account.position(PUT)["qty"] == "10"


def test_the_first_order_replaces_nothing(account):
    account.trade([(PUT, 1, Decimal(1))], AT, replaces=True)
    assert account.orders[0]["replaces"] is None


def test_an_account_has_one_id_for_each_name(account):
    market = account.market
    assert Account(market, "one").account_json()["id"] == Account(market, "one").account_json()["id"]
    assert Account(market, "one").account_json()["id"] != Account(market, "two").account_json()["id"]


def test_equity_is_cash_plus_the_value_of_the_holdings(account):
    account.deposit(AT)
    account.trade([(CALL, -1, None), ("AAPL", 10, None)], AT)
    answer = account.account_json()
    assert answer["equity"] == answer["portfolio_value"] == "99999.97"  # less the fee of one contract
    assert Decimal(answer["cash"]) + Decimal(answer["long_market_value"]) + Decimal(
        answer["short_market_value"]
    ) == Decimal(answer["equity"])


class DayProfit(RuleBasedStateMachine):
    """Whatever happens, the account's profit today is that of its contracts, plus its transfers less its fees."""

    def __init__(self):
        super().__init__()
        self.at = AT
        self.account = Account(Market(seed=1, at=AT.timestamp()))
        self.account.deposit(AT - dt.timedelta(days=60))
        self.quoted = dict.fromkeys((PUT, CALL), Decimal(2))
        for symbol in self.quoted:
            mark(self.account, symbol, 2.0, 2.0)
        self.account.trade([(PUT, -3, Decimal("2.5")), (CALL, 2, Decimal("1.5"))], AT - dt.timedelta(days=3))
        self.begin_day()

    def begin_day(self):
        self.before = {symbol: (int(row["qty"]), row["lastday_price"]) for symbol, row in self.rows().items()}
        self.cash = Decimal(0)

    def rows(self):
        return {row["symbol"]: row for row in self.account.positions()}

    @rule(symbol=st.sampled_from([PUT, CALL]), cents=st.integers(1, 900))
    def quote(self, symbol, cents):
        mark(self.account, symbol, cents / 100, cents / 100)

    @rule(symbol=st.sampled_from([PUT, CALL]), quantity=st.integers(-5, 5).filter(bool), cents=st.integers(1, 900))
    def trade(self, symbol, quantity, cents):
        price = Decimal(cents) / 100
        self.account.trade([(symbol, quantity, price)], self.at)
        self.cash -= price * quantity * 100 + Decimal(str((abs(quantity) * 5 + 1) // 2)) / 100

    @rule(dollars=st.integers(-500, 500).filter(bool))
    def transfer(self, dollars):
        self.account.transfer(Decimal(dollars), self.at)
        self.cash += dollars

    @rule()
    def end_the_day(self):
        close = dt.datetime.combine(self.at.date(), dt.time(21), dt.UTC)
        self.account.advance(close, close)
        closes = {symbol: row["current_price"] for symbol, row in self.rows().items()}
        self.at += dt.timedelta(days=1)
        self.account.advance(self.at, close)
        assert {symbol: row["lastday_price"] for symbol, row in self.rows().items()} == closes
        self.begin_day()

    @invariant()
    def the_profit_is_explained(self):
        rows = self.rows()
        now = sum(Decimal(row["qty"]) * Decimal(row["current_price"]) * 100 for row in rows.values())
        then = sum(Decimal(quantity) * Decimal(close) * 100 for quantity, close in self.before.values())
        account = self.account.account_json()
        assert Decimal(account["equity"]) - Decimal(account["last_equity"]) == now - then + self.cash


TestDayProfit = DayProfit.TestCase
TestDayProfit.settings = settings(max_examples=examples(60), stateful_step_count=15, deadline=None)


@given(
    before=st.integers(-5, 5),
    after=st.integers(-5, 5),
    entry=st.none() | st.integers(1, 900).map(lambda cents: Decimal(cents) / 100),
)
def test_a_position_that_changes_without_an_order_counts_as_held_since_yesterday(before, after, entry):
    account = Account(Market(seed=1, at=AT.timestamp()))
    account.trade([(PUT, 2, Decimal(3))], AT)
    account.set_position(CALL, before, Decimal(4))
    account.set_position(CALL, after, entry)
    profits = sum(Decimal(row["unrealized_intraday_pl"]) for row in account.positions())
    body = account.account_json()
    fee = Decimal("0.05")
    assert Decimal(body["equity"]) - Decimal(body["last_equity"]) == pytest.approx(profits - fee, abs=Decimal("0.001"))


def test_a_past_order_pays_and_leaves_no_position(account):
    before, holdings = account.account_json(), dict(account.holdings)
    at = AT - dt.timedelta(days=20)
    symbol = "SPY261106P00700000"
    for quantity, price, after in ((-2, "3.10", -2), (2, "1.05", 0)):
        execution = Execution(symbol=symbol, quantity=quantity, price=Decimal(price), position_after=after)
        account.add_past_order([execution], at)
    account.add_past_activity(activities.transfer("CSD", Decimal(25), at, 99), at)
    now = account.account_json()
    gained = (Decimal("3.10") - Decimal("1.05")) * 200 - 2 * Decimal("0.05") + 25
    for key in ("cash", "equity", "last_equity"):
        assert Decimal(now[key]) - Decimal(before[key]) == gained
    assert account.holdings == holdings
    opened, closed = account.orders[-2:]
    assert [opened["position_intent"], closed["position_intent"]] == ["sell_to_open", "buy_to_close"]
    assert [row["activity_type"] for row in account.activities[-5:]] == ["FILL", "FEE", "FILL", "FEE", "CSD"]
