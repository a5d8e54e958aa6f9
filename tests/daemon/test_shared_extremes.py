import asyncio
import contextlib
import datetime as dt
import hashlib

import tests.upstream.conftest  # noqa: F401 - imports alpaca-py without its warning

# isort: split
from condord.daemon import shared_extremes
from condord.daemon.shared_extremes import SharedExtremes
from condord.live.minutes import Extremes, HoldingPeriod, MinuteRow, RecordedPast
from condord.upstream import state_files
from condord.upstream.state_files import Store

AT = dt.datetime(2026, 11, 20, 15, 31, tzinfo=dt.UTC)
ONE = HoldingPeriod(condor_id="SPY-1", opened_at=AT)
OTHER = HoldingPeriod(condor_id="QQQ-1", opened_at=None)


def row(holding, low, high, **options):
    values = {"cents": low, "natural_cents": low, "price_e4": None, "quantity": 1}
    return MinuteRow(holding=holding, second=60, low=low, high=high, **values, **options)


def extremes(worst, best):
    return Extremes(worst=worst, best=best)


def run_scenario(path, scenario, **options):
    copies = []
    with contextlib.closing(Store(path, copy=lambda *copy: copies.append(copy), **options)) as store:
        asyncio.run(scenario(SharedExtremes(store)))
    return copies


def test_the_next_ingester_continues_with_the_extremes_of_all_before(tmp_path):
    async def first(shared):
        past = RecordedPast(extremes={ONE: extremes(-5, 5)})
        assert (await shared.join("key", past)).extremes == past.extremes
        await shared.add([row(ONE, -20, 3), row(None, -900, 900), row(OTHER, 1, 2)])
        await shared.add([row(ONE, -30, 30, is_held_back=True), row(OTHER, None, None)])

    async def second(shared):
        past = RecordedPast(extremes={ONE: extremes(-1, 40)}, quantities={"SPY-1": 2})
        joined = await shared.join("key", past)
        assert joined.extremes == {ONE: extremes(-20, 40), OTHER: extremes(1, 2)}
        assert joined.quantities == past.quantities
        assert (await shared.join("another", RecordedPast())).extremes == {}

    copies = run_scenario(tmp_path / "a", first)
    run_scenario(tmp_path / "b", second, handed_over=dict(copies[-1:]))


def test_extremes_that_do_not_change_are_not_written_again(tmp_path):
    async def scenario(shared):
        await shared.join("key", RecordedPast())
        for _ in range(3):
            await shared.add([row(ONE, -20, 3)])

    assert len(run_scenario(tmp_path, scenario)) == 2  # at the beginning there were none


def test_other_ingesters_know_the_recorded_account_before_there_are_extremes(tmp_path):
    async def scenario(shared):
        await shared.join("key", RecordedPast())
        await shared.join("another", RecordedPast())

    hashes = [state_files.account_hash(name) for name, _ in run_scenario(tmp_path, scenario)]
    assert hashes == [hashlib.sha256(key).hexdigest()[:20] for key in (b"key", b"another")]
    assert [state_files.account_hash(name) for name, _ in run_scenario(tmp_path, scenario)] == hashes


def test_the_newest_of_many_holdings_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(shared_extremes, "MAX_HOLDINGS", 2)
    third = HoldingPeriod(condor_id="IWM-1", opened_at=None)

    async def scenario(shared):
        await shared.join("key", RecordedPast())
        await shared.add([row(ONE, 1, 1), row(OTHER, 1, 1), row(ONE, 2, 2), row(third, 1, 1)])
        assert set((await shared.join("key", RecordedPast())).extremes) == {ONE, third}

    run_scenario(tmp_path, scenario)
