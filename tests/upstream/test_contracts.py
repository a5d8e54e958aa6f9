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
from condord.upstream.contracts import (
    PARALLEL,
    REPORT_SECONDS,
    ContractAnswer,
    ContractAnswers,
    ContractReader,
    contract,
)
from condord.upstream.rest_fault import RestFault
from condord.upstream.state_files import Store
from tests.fakes.alpaca import CONDOR, OUTAGE, STANDARD, FakeBrokerage, holding, wall
from tests.virtualtime import run, settle

SPY = "SPY261218P00560000"
XYZ1 = "XYZ1261218P00070000"
XYZ1_CALL = "XYZ1261218C00090000"
LATE = "DIA261218P00400000"
FOUR = (SPY, "QQQ261218P00560000", "IWM261218P00200000", XYZ1)
"""Contracts of four roots."""
POOL = (XYZ1, SPY, XYZ1_CALL, *CONDOR, *FOUR[1:3])
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
    def test_an_adjusted_contract_has_its_underlying_and_deliverables(self):
        assert decoded() == Contract(
            multiplier=100,
            underlying="GME",
            deliverables=(Deliverable(symbol="GME", amount="100"), Deliverable(symbol="GME.WS", amount="10")),
        )

    def test_the_size_is_not_used_as_the_multiplier(self):
        assert decoded(multiplier="10", size="100").multiplier == 10

    @pytest.mark.parametrize("style", ["american", "european"])
    def test_the_style_is_read(self, style):
        assert decoded(style=style).style == style

    @pytest.mark.parametrize("style", [None, "", "bermudan", 7, []])
    def test_an_unexpected_style_is_read_as_none(self, style):
        assert decoded(style=style).style is None

    @pytest.mark.parametrize("multiplier", ["100", "100.0", 100, 100.0])
    def test_a_multiplier_may_be_a_string_or_a_number(self, multiplier):
        assert decoded(multiplier=multiplier).multiplier == 100

    @pytest.mark.parametrize("multiplier", [None, "", "0", "-100", "0.5", "many", "NaN", "1e9", True, []])
    def test_an_answer_without_a_valid_multiplier_is_refused(self, multiplier):
        with pytest.raises(ValueError, match="multiplier"):
            decoded(multiplier=multiplier)

    def test_an_answer_for_another_contract_is_refused(self):
        with pytest.raises(ValueError, match="another contract"):
            contract(SPY, ANSWER, [].append)

    @pytest.mark.parametrize("answer", [None, [], "", 3, [ANSWER]])
    def test_an_answer_that_is_not_an_object_is_refused(self, answer):
        with pytest.raises(TypeError, match="not as an object"):
            contract(SPY, answer, [].append)

    @pytest.mark.parametrize("underlying", [None, "", 5, []])
    def test_an_underlying_that_is_missing_or_unreadable_is_none(self, underlying):
        assert decoded(underlying_symbol=underlying).underlying is None

    def test_the_deliverable_of_a_standard_contract_is_left_out(self):
        assert decoded(deliverables=[{"symbol": "GME", "amount": "100"}]).deliverables == ()

    @pytest.mark.parametrize(("listed", "count"), [(None, 0), ([], 0), ("GME", 1), ({}, 1), ([None, 5], 2)])
    def test_deliverables_that_cannot_be_read_are_left_out_and_counted(self, listed, count):
        refused = []
        assert contract(ANSWER["symbol"], ANSWER | {"deliverables": listed}, refused.append).deliverables == ()
        assert refused == ["deliverableRow"] * count

    @pytest.mark.slow
    @given(st.dictionaries(st.sampled_from(sorted(ANSWER)), st.none() | st.integers() | st.text() | st.floats()))
    def test_any_answer_is_a_contract_or_a_value_error(self, fields):
        with contextlib.suppress(ValueError):
            assert decoded(**fields).multiplier > 0


def known(symbol, contract, now_at=NOW_AT):
    contracts = ContractAnswers()
    contracts.learn(symbol, contract, now_at)
    return contracts


class TestDue:
    def test_unknown_contracts_are_due_in_the_order_given(self):
        assert ContractAnswers().due(FOUR, NOW_AT) == list(FOUR)
        assert ContractAnswers().due(FOUR[::-1], NOW_AT) == list(FOUR[::-1])

    def test_the_first_contract_of_each_root_is_due(self):
        assert ContractAnswers().due([XYZ1_CALL, *CONDOR, XYZ1], NOW_AT) == [XYZ1_CALL, CONDOR[0]]

    def test_an_answer_applies_to_its_root_for_a_day(self):
        assert known(XYZ1, MINI).due([XYZ1_CALL, XYZ1], NOW_AT) == []
        assert known(XYZ1, MINI).due([XYZ1_CALL], NOW_AT + DAY) == [XYZ1_CALL]

    def test_after_a_contract_that_alpaca_does_not_know_the_next_of_its_root_is_due(self):
        contracts = known(XYZ1, None)
        assert contracts.due([XYZ1, XYZ1_CALL], NOW_AT) == [XYZ1_CALL]
        contracts.learn(XYZ1_CALL, None, NOW_AT)
        assert contracts.due([XYZ1, XYZ1_CALL], NOW_AT) == []

    def test_a_contract_that_alpaca_no_longer_knows_does_not_apply_to_its_root(self):
        contracts = known(XYZ1, MINI)
        contracts.learn(XYZ1, None, NOW_AT + DAY)
        assert contracts.due([XYZ1, XYZ1_CALL], NOW_AT + DAY) == [XYZ1_CALL]

    def test_a_root_with_an_unknown_contract_is_due_after_the_others(self):
        assert known(XYZ1, None).due([XYZ1, XYZ1_CALL, SPY], NOW_AT) == [SPY, XYZ1_CALL]

    def test_a_contract_whose_cost_contradicts_its_root_is_due_itself(self):
        contracts = known(XYZ1, MINI)
        applied(contracts, XYZ1_CALL)
        assert contracts.due([XYZ1, XYZ1_CALL], NOW_AT) == [XYZ1_CALL]
        contracts.learn(XYZ1_CALL, STANDARD, NOW_AT)
        assert contracts.due([XYZ1, XYZ1_CALL], NOW_AT) == []
        assert applied(contracts, XYZ1_CALL).multiplier == 100
        assert applied(contracts, XYZ1, cost_basis_e4=125_500).multiplier == 10

    @given(st.lists(st.tuples(st.sampled_from(POOL), st.sampled_from([STANDARD, MINI, None]), st.integers(1, 30))))
    def test_requesting_due_contracts_ends_with_a_multiplier_for_every_root_that_alpaca_knows(self, earlier):
        contracts, asked = ContractAnswers(), []
        for symbol, answer, hours in earlier:
            contracts.learn(symbol, answer, NOW_AT - hours * HOUR)
        while due := contracts.due(POOL, NOW_AT):
            assert len(set(due)) == len(due)
            asked.append(due[0])
            contracts.learn(due[0], None if due[0] in POOL[:2] else MINI, NOW_AT)
        assert len(asked) == len(set(asked))
        assert not any(one.multiplier_assumed for one in contracts.applied(map(holding, POOL)))

    @pytest.mark.parametrize(("answer", "fresh_for"), [(STANDARD, DAY), (None, HOUR)])
    def test_an_answer_is_due_after_a_day_and_an_unknown_contract_after_an_hour(self, answer, fresh_for):
        contracts = known(SPY, answer)
        assert contracts.due([SPY], NOW_AT + fresh_for - dt.timedelta(seconds=1)) == []
        assert contracts.due([SPY], NOW_AT + fresh_for) == [SPY]

    def test_an_answer_from_the_future_is_due(self):
        assert known(SPY, STANDARD, NOW_AT + 40 * DAY).due([SPY], NOW_AT) == [SPY]

    def test_saved_answers_are_recalled(self):
        later = ContractAnswers()
        later.recall(known(SPY, STANDARD).to_save(NOW_AT))
        assert later.due([SPY], NOW_AT) == []

    def test_saved_answers_do_not_overwrite_later_ones(self):
        contracts = known(XYZ1, MINI)
        contracts.recall({XYZ1: ContractAnswer(contract=STANDARD, due_at=NOW_AT)})
        assert contracts.applied([holding(XYZ1)])[0].multiplier == 10

    def test_a_saved_symbol_that_cannot_be_parsed_is_left_out(self):
        contracts = ContractAnswers()
        contracts.recall({"junk": ContractAnswer(contract=STANDARD, due_at=NOW_AT)})
        assert contracts.to_save(NOW_AT) == {}

    def test_answers_are_dropped_a_month_after_they_were_due(self):
        contracts = known(SPY, STANDARD)
        assert list(contracts.to_save(NOW_AT + 30 * DAY)) == [SPY]
        assert list(contracts.to_save(NOW_AT + 31 * DAY)) == []


def applied(contracts, symbol=XYZ1, quantity=1, **fields):
    position = Position(
        **{
            "symbol": symbol,
            "contract": occ.parse(symbol),
            "quantity": quantity,
            "average_entry_e4": 12_550,
            "average_entry_e6": 1_255_000,
            "cost_basis_e4": quantity * 12_550 * 100,
            "multiplier_assumed": True,
        }
        | fields
    )
    return contracts.applied([position])[0]


class TestApplied:
    @pytest.mark.parametrize(("symbol", "underlying"), [(SPY, "SPY"), (XYZ1, "XYZ1"), ("SPXW261218P05600000", "SPX")])
    def test_a_contract_without_an_answer_is_assumed_to_be_standard(self, symbol, underlying):
        position = applied(ContractAnswers(), symbol)
        assert (position.multiplier, position.multiplier_assumed) == (100, True)
        assert position.underlying == underlying

    def test_an_answer_replaces_the_assumption(self):
        deliverables = (Deliverable(symbol="XYZ", amount="50"),)
        position = applied(known(XYZ1, Contract(multiplier=100, underlying="XYZ", deliverables=deliverables)))
        assert (position.multiplier, position.multiplier_assumed) == (100, False)
        assert (position.underlying, position.deliverables) == ("XYZ", deliverables)

    def test_the_style_comes_from_the_answer_and_is_unknown_before(self):
        contracts = known(XYZ1, Contract(multiplier=100, underlying="XYZ", style="american"))
        assert (applied(ContractAnswers()).style, applied(contracts).style) == (None, "american")

    def test_the_multiplier_of_a_contract_that_alpaca_does_not_know_stays_assumed(self):
        assert applied(known(XYZ1, None)).multiplier_assumed

    def test_an_answer_still_applies_if_alpaca_no_longer_knows_the_contract(self):
        contracts = known(XYZ1, MINI)
        contracts.learn(XYZ1, None, NOW_AT + DAY)
        assert (applied(contracts).multiplier, applied(contracts).multiplier_assumed) == (10, False)

    def test_the_root_replaces_a_missing_underlying(self):
        assert applied(known(XYZ1, Contract(multiplier=100, underlying=None))).underlying == "XYZ1"

    def test_an_answer_applies_to_other_contracts_of_the_root(self):
        position = applied(known(XYZ1_CALL, MINI), cost_basis_e4=12_550 * 10)
        assert (position.multiplier, position.underlying, position.multiplier_assumed) == (10, "XYZ", False)
        assert position.problem is None

    def test_a_contracts_own_answer_applies_unless_its_roots_is_a_day_newer(self):
        contracts = known(XYZ1, MINI)
        contracts.learn(XYZ1_CALL, STANDARD, NOW_AT + HOUR)
        assert applied(contracts, XYZ1).multiplier == 10
        contracts.learn(XYZ1_CALL, STANDARD, NOW_AT + DAY)
        assert applied(contracts, XYZ1).multiplier == 100

    def test_an_answer_does_not_apply_to_another_root_of_the_underlying(self):
        assert applied(known(XYZ1, MINI), "XYZ261218P00070000").multiplier == 100

    def test_a_symbol_that_cannot_be_parsed_is_unchanged(self):
        odd = Position(symbol="???", contract=None, quantity=1, average_entry_e4=1, cost_basis_e4=None)
        assert ContractAnswers().applied([odd]) == [odd]


class TestCostBasis:
    @pytest.mark.parametrize("quantity", [3, -3])
    def test_a_missing_cost_basis_is_computed_with_the_multiplier(self, quantity):
        assert applied(ContractAnswers(), quantity=quantity, cost_basis_e4=None).cost_basis_e4 == quantity * 1_255_000
        assert applied(known(XYZ1, MINI), quantity=quantity, cost_basis_e4=None).cost_basis_e4 == quantity * 125_500

    def test_a_missing_cost_basis_is_computed_from_the_average_to_six_places(self):
        exact = {"average_entry_e4": 5_233, "average_entry_e6": 523_333}
        assert applied(ContractAnswers(), SPY, 3, cost_basis_e4=None, **exact).cost_basis_e4 == 1_570_000

    def test_a_missing_cost_basis_without_an_average_stays_unknown(self):
        position = applied(ContractAnswers(), SPY, average_entry_e4=None, average_entry_e6=None, cost_basis_e4=None)
        assert (position.cost_basis_e4, position.problem) == (None, None)

    def test_a_cost_basis_that_contradicts_the_average_is_a_problem_that_contains_both(self):
        position = applied(known(SPY, STANDARD), SPY, average_entry_e4=1_255, cost_basis_e4=12_550_000)
        assert position.problem == "cost basis 1255 contradicts average entry 0.1255 x 1 x 100"
        assert position.cost_basis_e4 == 12_550_000

    def test_the_problem_of_a_short_position_contains_the_signs(self):
        position = applied(known(SPY, STANDARD), SPY, -2, average_entry_e4=12_550, cost_basis_e4=-25_100)
        assert position.problem == "cost basis -2.51 contradicts average entry 1.255 x -2 x 100"

    def test_an_unknown_cost_basis_is_added_to_other_problems(self):
        position = applied(known(SPY, STANDARD), SPY, cost_basis_e4=1, problem="odd")
        assert position.problem.startswith("odd; cost basis 0.0001 contradicts")

    def test_the_cost_basis_is_compared_with_the_multiplier_that_alpaca_gave(self):
        assert applied(known(XYZ1, MINI), cost_basis_e4=125_500).problem is None
        assert "x 1 x 10" in applied(known(XYZ1, MINI), cost_basis_e4=1_255_000).problem

    def test_an_assumed_multiplier_of_an_adjusted_root_is_not_compared(self):
        assert applied(ContractAnswers(), XYZ1, cost_basis_e4=125_500).problem is None
        assert applied(ContractAnswers(), SPY, cost_basis_e4=125_500).problem is not None

    @pytest.mark.parametrize(
        ("average_e4", "quantity", "cost_e4", "is_odd"),
        [
            (16_667, 3, 5_000_000, False),  # 1.666666…, to four places
            (16_700, 3, 5_000_000, False),  # rounded to cents
            (16_700, 3, 4_990_000, True),
            (16_667, 3, 4_990_000, True),
            (200, 1, 20_000, False),
            (200, 1, 200_000, True),
            (0, 1, 0, False),
        ],
    )
    def test_a_rounded_average_may_be_off_by_half_its_last_place(self, average_e4, quantity, cost_e4, is_odd):
        position = applied(known(SPY, STANDARD), SPY, quantity, average_entry_e4=average_e4, cost_basis_e4=cost_e4)
        assert (position.problem is not None) == is_odd

    @given(st.integers(1, 10**9), st.integers(1, 500), st.sampled_from([1, 10, 100, 1000]))
    def test_a_correct_cost_is_never_a_problem_however_the_average_is_rounded(self, cost_cents, quantity, multiplier):
        exact = Contract(multiplier=multiplier, underlying="XYZ")
        for places in (2, 3, 4):
            average_e4 = round(round(cost_cents / 100 / quantity / multiplier, places) * 10_000)
            position = applied(
                known(XYZ1, exact), XYZ1, quantity, average_entry_e4=average_e4, cost_basis_e4=cost_cents * 100
            )
            assert position.problem is None

    @pytest.mark.parametrize("unknown", ["average_entry_e4", "quantity", "cost_basis_e4"])
    def test_unknown_values_are_not_a_problem(self, unknown):
        position = msgspec.structs.replace(holding(SPY), **{unknown: None})
        assert known(SPY, STANDARD).applied([position])[0].problem is None


class Harness:
    """A reader with a fake brokerage and its files in the directory `path`; `symbols` are held."""

    def __init__(self, path=None, symbols=FOUR):
        self.brokerage = FakeBrokerage()
        self.store = Store(path, account="A")
        self.symbols = list(symbols)
        self.learned = 0
        self.apply = list
        self.reader = ContractReader(brokerage=self.brokerage, now_at=wall, learned=self._count)

    def _count(self):
        self.learned += 1
        self.apply()

    @property
    def asked(self):
        return [symbol for _, _, symbol in self.brokerage.asked]

    async def read(self):
        await self.reader.read(lambda: self.symbols)


def run_scenario(test, **options):
    async def main():
        harness = Harness(**options)
        try:
            await harness.reader.recall(harness.store)
            await test(harness)
        finally:
            harness.store.close()

    run(main())


def of_root(root, count):
    return [f"{root}261218P{strike:08d}" for strike in range(500_000, 500_000 + 1000 * count, 1000)]


def many(count):
    """So many contracts, each of another root."""
    return [f"A{chr(65 + number // 26)}{chr(65 + number % 26)}261218P00500000" for number in range(count)]


class TestReader:
    def test_one_contract_of_each_root_is_requested(self):
        @run_scenario
        async def _(harness):
            await harness.read()
            await harness.read()
            assert harness.asked == list(FOUR)
            assert not any(one.multiplier_assumed for one in harness.reader.answers.applied(map(holding, FOUR)))

    def test_two_thousand_legs_need_one_request_for_each_root(self):
        async def test(harness):
            harness.brokerage.contracts = {symbol: MINI for symbol in harness.symbols if symbol.startswith("XYZ1")}
            await harness.read()
            assert len(harness.asked) == 5
            applied = harness.reader.answers.applied(map(holding, harness.symbols))
            assert not any(one.multiplier_assumed for one in applied)
            assert {one.contract.root: one.multiplier for one in applied} == {
                **dict.fromkeys(["SPY", "SPXW", "QQQ", "IWM"], 100),
                "XYZ1": 10,
            }

        run_scenario(
            test, symbols=[symbol for root in ("SPY", "SPXW", "QQQ", "IWM", "XYZ1") for symbol in of_root(root, 400)]
        )

    def test_a_contract_that_contradicts_its_root_is_requested_in_the_same_reading(self):
        async def test(harness):
            first, second, odd = harness.symbols
            harness.brokerage.contracts = {odd: MINI}
            held = [*map(holding, (first, second)), msgspec.structs.replace(holding(odd), cost_basis_e4=100_000)]
            harness.apply = lambda: harness.reader.answers.applied(held)
            await harness.read()
            assert harness.asked == [first, odd]
            assert [(one.multiplier, one.problem) for one in harness.apply()] == [(100, None), (100, None), (10, None)]

        run_scenario(test, symbols=of_root("SPY", 3))

    def test_a_short_reading_reports_once_at_its_end(self):
        @run_scenario
        async def _(harness):
            await harness.read()
            assert harness.learned == 1
            await harness.read()
            assert harness.learned == 1

    def test_a_long_reading_reports_at_intervals(self):
        async def test(harness):
            harness.brokerage.delay = 1.0
            await harness.read()
            assert len(harness.asked) / PARALLEL == 29
            assert harness.learned == 30 / REPORT_SECONDS

        run_scenario(test, symbols=many(58))

    def test_answers_are_reported_while_later_requests_wait(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.delay = 1.0
            task = asyncio.ensure_future(harness.read())
            await settle(0.5)
            harness.brokerage.delay = 60.0
            await settle(REPORT_SECONDS)
            assert (len(harness.asked), harness.learned) == (4, 1)
            await task
            assert harness.learned == 2

    def test_a_cancelled_reading_leaves_no_request_open(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.delay = 1.0
            task = asyncio.ensure_future(harness.read())
            await settle(0.5)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert asyncio.all_tasks() == {asyncio.current_task()}

    def test_contracts_added_during_a_reading_are_requested_too(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.delay = 1.0
            task = asyncio.ensure_future(harness.read())
            await settle(1.5)
            harness.symbols.append(LATE)
            await task
            assert harness.asked[-1] == LATE

    def test_every_root_is_requested_again_the_next_day(self):
        @run_scenario
        async def _(harness):
            await harness.read()
            await settle(DAY.total_seconds())
            await harness.read()
            assert harness.asked == 2 * list(FOUR)

    def test_a_contract_that_alpaca_does_not_know_is_requested_again_after_an_hour(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.contracts = {FOUR[0]: None}
            await harness.read()
            await settle(HOUR.total_seconds())
            await harness.read()
            assert harness.asked == [*FOUR, FOUR[0]]

    def test_few_requests_are_open_at_a_time(self):
        async def test(harness):
            harness.brokerage.delay = 1.0
            await harness.read()
            times = harness.brokerage.times("contract")
            assert max(times.count(when) for when in times) == PARALLEL

        run_scenario(test, symbols=many(10))

    def test_an_outage_ends_the_reading_and_the_next_one_goes_on(self):
        @run_scenario
        async def _(harness):
            harness.brokerage.failures["contract"] = OUTAGE
            with pytest.raises(RestFault):
                await harness.read()
            assert len(harness.asked) == PARALLEL
            del harness.brokerage.failures["contract"]
            await harness.read()
            assert harness.asked[PARALLEL:] == list(FOUR)

    @pytest.mark.parametrize("code", ["refused", "malformed"])
    def test_a_contract_that_cannot_be_read_is_logged_and_does_not_end_the_reading(self, code, caplog):
        caplog.set_level(logging.WARNING, "condord.upstream.contracts")

        @run_scenario
        async def _(harness):
            harness.brokerage.failures["contract"] = RestFault(code, "no", may_retry=False)
            await harness.read()
            await harness.read()
            assert harness.asked == list(FOUR)
            assert [record.fields["symbol"] for record in caplog.records] == list(FOUR)

    def test_another_run_does_not_request_saved_contracts(self, tmp_path):
        async def first(harness):
            await harness.read()

        async def second(harness):
            harness.symbols.append(LATE)
            await harness.read()
            assert harness.asked == [LATE]
            assert harness.learned == 2

        run_scenario(first, path=tmp_path)
        run_scenario(second, path=tmp_path)

    def test_answers_before_an_outage_are_saved(self, tmp_path):
        async def first(harness):
            harness.brokerage.delay = 1.0
            task = asyncio.ensure_future(harness.read())
            await settle(1.5)
            harness.brokerage.failures["contract"] = OUTAGE
            with pytest.raises(RestFault):
                await task

        async def second(harness):
            await harness.read()
            assert harness.asked == list(FOUR[PARALLEL:])

        run_scenario(first, path=tmp_path)
        run_scenario(second, path=tmp_path)
