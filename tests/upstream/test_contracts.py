import asyncio
import contextlib
import datetime as dt
import logging

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.core import occ
from condord.core.position import Contract, Deliverable, Position
from condord.upstream.contracts import PARALLEL, TELL_SECONDS, Answer, ContractReader, Contracts, contract
from condord.upstream.faults import RestFault
from condord.upstream.store import Store
from tests.fakes.alpaca import CONDOR, OUTAGE, STANDARD, FakeBrokerage, holding, wall
from tests.virtualtime import run, settle

SPY = "SPY261218P00560000"
XYZ1 = "XYZ1261218P00070000"
XYZ1_CALL = "XYZ1261218C00090000"
NOW_AT = dt.datetime(2026, 11, 20, 15, 0, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
MINI = Contract(multiplier=10, underlying="XYZ")

ANSWER = {
    "symbol": "GME1261016C00003000",
    "multiplier": "100",
    "root_symbol": "GME1",
    "underlying_symbol": "GME",
    "size": "100",
    "strike_price": "3",
    "tradable": False,
    "deliverables": [
        {"allocation_percentage": "95", "amount": "100", "symbol": "GME", "type": "equity"},
        {"allocation_percentage": "5", "amount": "10", "symbol": "GME.WS", "type": "equity"},
    ],
}


def decoded(**fields):
    return contract(ANSWER["symbol"], ANSWER | fields, [].append)


class TestAnswers:
    def test_an_adjusted_contract_tells_what_it_is(self):
        assert decoded() == Contract(
            multiplier=100,
            underlying="GME",
            deliverables=(Deliverable(symbol="GME", amount="100"), Deliverable(symbol="GME.WS", amount="10")),
        )

    def test_the_size_is_no_multiplier(self):
        assert decoded(multiplier="10", size="100").multiplier == 10

    @pytest.mark.parametrize("multiplier", ["100", "100.0", 100, 100.0])
    def test_a_multiplier_may_be_a_string_or_a_number(self, multiplier):
        assert decoded(multiplier=multiplier).multiplier == 100

    @pytest.mark.parametrize("multiplier", [None, "", "0", "-100", "0.5", "many", "NaN", "1e9", True, []])
    def test_without_a_usable_multiplier_it_is_malformed(self, multiplier):
        with pytest.raises(ValueError, match="multiplier"):
            decoded(multiplier=multiplier)

    def test_another_contract_is_malformed(self):
        with pytest.raises(ValueError, match="another contract"):
            contract(SPY, ANSWER, [].append)

    @pytest.mark.parametrize("answer", [None, [], "", 3, [ANSWER]])
    def test_what_is_no_object_is_malformed(self, answer):
        with pytest.raises(TypeError, match="not as an object"):
            contract(SPY, answer, [].append)

    @pytest.mark.parametrize("underlying", [None, "", 5, []])
    def test_an_underlying_that_is_not_told_is_unknown(self, underlying):
        assert decoded(underlying_symbol=underlying).underlying is None

    def test_what_a_standard_contract_delivers_is_no_news(self):
        assert decoded(deliverables=[{"symbol": "GME", "amount": "100"}]).deliverables == ()

    @pytest.mark.parametrize(("listed", "count"), [(None, 0), ([], 0), ("GME", 1), ({}, 1), ([None, 5], 2)])
    def test_deliverables_that_cannot_be_read_are_left_out_and_counted(self, listed, count):
        refused = []
        assert contract(ANSWER["symbol"], ANSWER | {"deliverables": listed}, refused.append).deliverables == ()
        assert refused == ["deliverableRow"] * count

    @pytest.mark.slow
    @given(st.dictionaries(st.sampled_from(sorted(ANSWER)), st.none() | st.integers() | st.text() | st.floats()))
    def test_any_answer_is_a_contract_or_malformed(self, fields):
        with contextlib.suppress(ValueError):
            assert decoded(**fields).multiplier > 0


def known(symbol, told, now_at=NOW_AT):
    contracts = Contracts()
    contracts.learn(symbol, told, now_at)
    return contracts


class TestDue:
    def test_what_was_never_asked_for_is_due_in_its_order(self):
        assert Contracts().due(["b", "a"], NOW_AT) == ["b", "a"]

    @pytest.mark.parametrize(("told", "holds"), [(STANDARD, DAY), (None, HOUR)])
    def test_an_answer_holds_for_a_day_and_that_there_is_none_for_an_hour(self, told, holds):
        contracts = known(SPY, told)
        assert contracts.due([SPY], NOW_AT + holds - dt.timedelta(seconds=1)) == []
        assert contracts.due([SPY], NOW_AT + holds) == [SPY]

    def test_an_answer_of_the_future_is_not_believed(self):
        assert known(SPY, STANDARD, NOW_AT + 40 * DAY).due([SPY], NOW_AT) == [SPY]

    def test_what_is_kept_is_recalled(self):
        later = Contracts()
        later.recall(known(SPY, STANDARD).kept(NOW_AT))
        assert later.due([SPY], NOW_AT) == []

    def test_what_is_kept_does_not_replace_what_is_known(self):
        contracts = known(XYZ1, MINI)
        contracts.recall({XYZ1: Answer(contract=STANDARD, due_at=NOW_AT)})
        assert contracts.applied([holding(XYZ1)])[0].multiplier == 10

    def test_a_kept_symbol_that_cannot_be_parsed_is_left_out(self):
        contracts = Contracts()
        contracts.recall({"junk": Answer(contract=STANDARD, due_at=NOW_AT)})
        assert contracts.kept(NOW_AT) == {}

    def test_what_nobody_holds_any_more_is_forgotten_after_a_month(self):
        contracts = known(SPY, STANDARD)
        assert list(contracts.kept(NOW_AT + 30 * DAY)) == [SPY]
        assert list(contracts.kept(NOW_AT + 31 * DAY)) == []


def applied(contracts, symbol=XYZ1, quantity=1, **fields):
    position = Position(
        **{
            "symbol": symbol,
            "contract": occ.parse(symbol),
            "quantity": quantity,
            "average_entry_e4": 12_550,
            "cost_basis_e4": quantity * 12_550 * 100,
            "multiplier_assumed": True,
        }
        | fields
    )
    return contracts.applied([position])[0]


class TestApplied:
    @pytest.mark.parametrize("symbol", [SPY, XYZ1])
    def test_until_a_contract_has_answered_it_is_assumed_to_be_standard(self, symbol):
        position = applied(Contracts(), symbol)
        assert (position.multiplier, position.multiplier_assumed) == (100, True)
        assert position.underlying == position.contract.root

    def test_what_is_told_replaces_what_was_assumed(self):
        deliverables = (Deliverable(symbol="XYZ", amount="50"),)
        position = applied(known(XYZ1, Contract(multiplier=100, underlying="XYZ", deliverables=deliverables)))
        assert (position.multiplier, position.multiplier_assumed) == (100, False)
        assert (position.underlying, position.deliverables) == ("XYZ", deliverables)

    def test_a_contract_that_alpaca_does_not_know_stays_assumed(self):
        assert applied(known(XYZ1, None)).multiplier_assumed

    def test_that_there_is_none_does_not_unsay_what_was_told(self):
        contracts = known(XYZ1, MINI)
        contracts.learn(XYZ1, None, NOW_AT + DAY)
        assert (applied(contracts).multiplier, applied(contracts).multiplier_assumed) == (10, False)

    def test_a_contract_without_an_underlying_is_of_its_root(self):
        assert applied(known(XYZ1, Contract(multiplier=100, underlying=None))).underlying == "XYZ1"

    def test_another_contract_of_the_root_speaks_for_one_that_has_not_answered(self):
        position = applied(known(XYZ1_CALL, MINI), cost_basis_e4=12_550 * 10)
        assert (position.multiplier, position.underlying, position.multiplier_assumed) == (10, "XYZ", True)
        assert position.problem is None

    def test_another_root_of_the_underlying_does_not(self):
        assert applied(known(XYZ1, MINI), "XYZ261218P00070000").multiplier == 100

    def test_a_symbol_that_cannot_be_parsed_is_left_as_it_is(self):
        odd = Position(symbol="???", contract=None, quantity=1, average_entry_e4=1, cost_basis_e4=None)
        assert Contracts().applied([odd]) == [odd]


class TestCostBasis:
    @pytest.mark.parametrize("quantity", [3, -3])
    def test_a_missing_one_is_computed_with_the_true_multiplier(self, quantity):
        assert applied(Contracts(), quantity=quantity, cost_basis_e4=None).cost_basis_e4 == quantity * 1_255_000
        assert applied(known(XYZ1, MINI), quantity=quantity, cost_basis_e4=None).cost_basis_e4 == quantity * 125_500

    def test_a_missing_one_without_an_average_stays_unknown(self):
        position = applied(Contracts(), SPY, average_entry_e4=None, cost_basis_e4=None)
        assert (position.cost_basis_e4, position.problem) == (None, None)

    def test_one_that_is_at_odds_with_the_average_is_a_problem_that_says_both(self):
        position = applied(known(SPY, STANDARD), SPY, average_entry_e4=1_255, cost_basis_e4=12_550_000)
        assert position.problem == "cost basis 1255 is at odds with average entry 0.1255 x 1 x 100"
        assert position.cost_basis_e4 == 12_550_000

    def test_a_short_one_is_told_with_its_signs(self):
        position = applied(known(SPY, STANDARD), SPY, -2, average_entry_e4=12_550, cost_basis_e4=-25_100)
        assert position.problem == "cost basis -2.51 is at odds with average entry 1.255 x -2 x 100"

    def test_it_stands_beside_other_problems(self):
        position = applied(known(SPY, STANDARD), SPY, cost_basis_e4=1, problem="odd")
        assert position.problem.startswith("odd; cost basis 0.0001 is at odds")

    def test_the_multiplier_that_was_told_counts(self):
        assert applied(known(XYZ1, MINI), cost_basis_e4=125_500).problem is None
        assert "x 1 x 10" in applied(known(XYZ1, MINI), cost_basis_e4=1_255_000).problem

    def test_a_multiplier_that_is_assumed_of_an_adjusted_root_proves_nothing(self):
        assert applied(Contracts(), XYZ1, cost_basis_e4=125_500).problem is None
        assert applied(Contracts(), SPY, cost_basis_e4=125_500).problem is not None

    @pytest.mark.parametrize(
        ("average_e4", "quantity", "cost_e4", "is_odd"),
        [
            (16_667, 3, 5_000_000, False),  # 1.666666…, four places told
            (16_700, 3, 5_000_000, False),  # rounded to cents
            (16_700, 3, 4_990_000, True),
            (16_667, 3, 4_990_000, True),
            (200, 1, 20_000, False),
            (200, 1, 200_000, True),
            (0, 1, 0, False),
        ],
    )
    def test_an_average_that_does_not_terminate_may_be_off_by_half_its_last_place(
        self, average_e4, quantity, cost_e4, is_odd
    ):
        position = applied(known(SPY, STANDARD), SPY, quantity, average_entry_e4=average_e4, cost_basis_e4=cost_e4)
        assert (position.problem is not None) == is_odd

    @given(st.integers(1, 10**9), st.integers(1, 500), st.sampled_from([1, 10, 100, 1000]))
    def test_a_true_cost_is_never_a_problem_however_the_average_is_rounded(self, cost_cents, quantity, multiplier):
        exact = Contract(multiplier=multiplier, underlying="XYZ")
        for places in (2, 3, 4):
            average_e4 = round(round(cost_cents / 100 / quantity / multiplier, places) * 10_000)
            position = applied(
                known(XYZ1, exact), XYZ1, quantity, average_entry_e4=average_e4, cost_basis_e4=cost_cents * 100
            )
            assert position.problem is None

    @pytest.mark.parametrize("unknown", ["average_entry_e4", "quantity", "cost_basis_e4"])
    def test_what_is_not_known_is_at_odds_with_nothing(self, unknown):
        position = msgspec.structs.replace(holding(SPY), **{unknown: None})
        assert known(SPY, STANDARD).applied([position])[0].problem is None


class Bench:
    """A reader before a brokerage, with the store at `place`; `symbols` are held."""

    def __init__(self, place=None, symbols=CONDOR):
        self.brokerage = FakeBrokerage()
        self.store = Store(place, account="A")
        self.symbols = list(symbols)
        self.learned = 0
        self.reader = ContractReader(brokerage=self.brokerage, store=self.store, now_at=wall, learned=self._count)

    def _count(self):
        self.learned += 1

    @property
    def asked(self):
        return [symbol for _, _, symbol in self.brokerage.asked]

    async def read(self):
        await self.reader.read(lambda: self.symbols)


def play(test, **given):
    async def whole():
        bench = Bench(**given)
        try:
            await test(bench)
        finally:
            bench.store.close()

    run(whole())


def many(count):
    return [f"SPY261218P{strike:08d}" for strike in range(500_000, 500_000 + 1000 * count, 1000)]


class TestReader:
    def test_each_symbol_is_asked_for_once(self):
        @play
        async def _(bench):
            await bench.read()
            await bench.read()
            assert bench.asked == list(CONDOR)
            assert not any(one.multiplier_assumed for one in bench.reader.contracts.applied(map(holding, CONDOR)))

    def test_what_one_reading_has_learned_is_told_at_once_at_its_end(self):
        @play
        async def _(bench):
            await bench.read()
            assert bench.learned == 1
            await bench.read()
            assert bench.learned == 1

    def test_a_reading_that_takes_long_tells_what_it_has(self):
        async def test(bench):
            bench.brokerage.delay = 1.0
            await bench.read()
            assert len(bench.asked) / PARALLEL == 29
            assert bench.learned == 30 / TELL_SECONDS

        play(test, symbols=many(58))

    def test_a_reading_that_has_to_wait_tells_what_it_has(self):
        @play
        async def _(bench):
            bench.brokerage.delay = 1.0
            task = asyncio.ensure_future(bench.read())
            await settle(0.5)
            bench.brokerage.delay = 60.0
            await settle(TELL_SECONDS)
            assert (len(bench.asked), bench.learned) == (4, 1)
            await task
            assert bench.learned == 2

    def test_a_reading_that_is_cancelled_leaves_no_request_behind(self):
        @play
        async def _(bench):
            bench.brokerage.delay = 1.0
            task = asyncio.ensure_future(bench.read())
            await settle(0.5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert asyncio.all_tasks() == {asyncio.current_task()}

    def test_what_is_held_since_is_asked_for_too(self):
        @play
        async def _(bench):
            bench.brokerage.delay = 1.0
            task = asyncio.ensure_future(bench.read())
            await settle(1.5)
            bench.symbols.append(XYZ1)
            await task
            assert bench.asked[-1] == XYZ1

    def test_an_answer_is_asked_for_again_the_next_day(self):
        @play
        async def _(bench):
            await bench.read()
            await settle(DAY.total_seconds())
            await bench.read()
            assert bench.asked == 2 * list(CONDOR)

    def test_a_contract_that_alpaca_does_not_know_is_asked_for_again_after_an_hour(self):
        @play
        async def _(bench):
            bench.brokerage.contracts = {CONDOR[0]: None}
            await bench.read()
            await settle(HOUR.total_seconds())
            await bench.read()
            assert bench.asked == [*CONDOR, CONDOR[0]]

    def test_a_few_are_asked_for_at_a_time(self):
        async def test(bench):
            bench.brokerage.delay = 1.0
            await bench.read()
            times = bench.brokerage.times("contract")
            assert max(times.count(when) for when in times) == PARALLEL

        play(test, symbols=many(10))

    def test_an_outage_ends_the_reading_and_what_was_answered_stays(self):
        @play
        async def _(bench):
            bench.brokerage.failures["contract"] = OUTAGE
            with pytest.raises(RestFault):
                await bench.read()
            assert len(bench.asked) == PARALLEL
            del bench.brokerage.failures["contract"]
            await bench.read()
            assert bench.asked[PARALLEL:] == list(CONDOR)

    @pytest.mark.parametrize("code", ["refused", "malformed"])
    def test_one_symbol_that_cannot_be_read_does_not_keep_the_others(self, code, caplog):
        caplog.set_level(logging.WARNING, "condord.upstream.contracts")

        @play
        async def _(bench):
            bench.brokerage.failures["contract"] = RestFault(code, "no", may_retry=False)
            await bench.read()
            await bench.read()
            assert bench.asked == list(CONDOR)
            assert [record.fields["symbol"] for record in caplog.records] == list(CONDOR)

    def test_another_run_asks_for_nothing_that_is_kept(self, tmp_path):
        async def first(bench):
            await bench.read()

        async def second(bench):
            bench.symbols.append(XYZ1)
            await bench.read()
            assert bench.asked == [XYZ1]
            assert bench.learned == 2

        play(first, place=tmp_path)
        play(second, place=tmp_path)

    def test_what_was_answered_before_an_outage_is_kept(self, tmp_path):
        async def first(bench):
            bench.brokerage.delay = 1.0
            task = asyncio.ensure_future(bench.read())
            await settle(1.5)
            bench.brokerage.failures["contract"] = OUTAGE
            with pytest.raises(RestFault):
                await task

        async def second(bench):
            await bench.read()
            assert bench.asked == list(CONDOR[PARALLEL:])

        play(first, place=tmp_path)
        play(second, place=tmp_path)
