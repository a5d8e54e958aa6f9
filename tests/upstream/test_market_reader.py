import asyncio
import contextlib
import datetime as dt
import itertools

import pytest

from condord.core.dividend import Dividend
from condord.upstream.market_reader import (
    CONFIRM_SECONDS,
    GRANT_SECONDS,
    OPPOSITES_PER_MINUTE,
    PRICE_SECONDS,
    SNAPSHOTS_PER_MINUTE,
    MarketReader,
)
from condord.upstream.rate_limit import SHARES
from condord.upstream.rest_fault import RestFault
from tests.fakes.alpaca import CONDOR, OUTAGE, FakeBrokerage, FakeMarketSink, figures, tick, wall
from tests.virtualtime import run

REFRESH_SECONDS = 60.0
LASTING = ("authFailed", "forbidden", "refused")
FORBIDDEN = RestFault("forbidden", "Alpaca's REST forbids it (403)", may_retry=False, is_outage=False)
STOCKS = ("SPY", "QQQ")


class Harness:
    """A reader of fakes, whose clock is ahead of the loop's by `later`.

    `failures` has the current failures by name; `streamed`, `held` and `is_open` are its inputs.
    """

    def __init__(self, **kept):
        self.brokerage = FakeBrokerage()
        self.sink = FakeMarketSink()
        self.streamed = ()
        self.held = ()
        self.is_open = True
        self.later = dt.timedelta()
        self.failures = {}
        for name, value in kept.items():
            setattr(self.sink if name in ("stocks", "indexes", "opposite_contracts") else self, name, value)

    @contextlib.contextmanager
    def noting(self, what):
        try:
            yield
        except RestFault as fault:
            self.failures[what] = fault.code
        else:
            self.failures.pop(what, None)

    def is_good(self, what):
        return self.failures.get(what) in (None, *LASTING)

    def run_scenario(self, seconds, *events):
        """Run for `seconds`; each event is (seconds, function of the reader). Returns when requests went, by name."""

        async def main():
            self.reader = MarketReader(
                brokerage=self.brokerage,
                sink=self.sink,
                now_at=lambda: wall() + self.later,
                refresh_seconds=REFRESH_SECONDS,
                held=lambda: self.held,
                streamed=lambda: self.streamed,
                is_open=lambda: self.is_open,
                noting=self.noting,
                unneeded=lambda what: self.failures.pop(what, None),
                is_good=self.is_good,
            )
            loop = asyncio.get_running_loop()
            for at, event in events:
                loop.call_at(1000.0 + at, event, self.reader)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds), asyncio.TaskGroup() as tasks:
                    for work in self.reader.tasks():
                        tasks.create_task(work)

        run(main())

    def asked(self, what):
        """Which symbols were requested, and when, in seconds since the start."""
        return [(at - 1000.0, argument) for name, at, argument in self.brokerage.asked if name == what]

    def times(self, what):
        return [at for at, _ in self.asked(what)]


class TestStocks:
    def test_all_stocks_are_read_at_once_and_while_the_market_is_open_every_half_minute(self):
        harness = Harness(stocks=STOCKS, streamed=STOCKS)
        harness.run_scenario(61.0)
        assert harness.asked("stocks") == [(0.0, STOCKS), (CONFIRM_SECONDS, STOCKS), (2 * CONFIRM_SECONDS, STOCKS)]
        assert [snapshot.symbol for snapshot in harness.sink.last("confirm_stocks")[0]] == list(STOCKS)

    def test_stocks_that_the_stream_lacks_are_read_every_five_seconds(self):
        harness = Harness(stocks=STOCKS, streamed=("SPY",))
        harness.run_scenario(16.0)
        assert harness.asked("stocks") == [(0.0, STOCKS), (5.0, ("QQQ",)), (10.0, ("QQQ",)), (15.0, ("QQQ",))]
        assert harness.reader.polled == ("QQQ",)

    def test_while_the_market_is_closed_only_refreshes_read_them(self):
        harness = Harness(stocks=STOCKS, is_open=False)
        harness.run_scenario(61.0)
        assert harness.asked("stocks") == [(0.0, STOCKS), (60.0, STOCKS)]

    def test_a_cut_of_the_stream_is_noticed_within_five_seconds(self):
        harness = Harness(stocks=STOCKS, streamed=STOCKS)
        harness.run_scenario(16.0, (8.0, lambda _: setattr(harness, "streamed", ())))
        assert harness.times("stocks") == [0.0, 10.0, 15.0]

    def test_a_new_stock_is_read_within_five_seconds_and_on_request_at_once(self):
        harness = Harness(streamed=(*STOCKS, "IWM"))
        harness.run_scenario(
            40.0,
            (11.0, lambda _: setattr(harness.sink, "stocks", ("SPY",))),
            (21.0, lambda _: setattr(harness.sink, "stocks", STOCKS)),
            (21.0, lambda reader: reader.ask()),
            (31.0, lambda _: setattr(harness.sink, "stocks", (*STOCKS, "IWM"))),
        )
        assert harness.times("stocks") == [15.0, 21.0, 31.0]

    def test_a_flood_of_requests_costs_no_more_than_the_usual_rate(self):
        harness = Harness(stocks=STOCKS, streamed=STOCKS)
        harness.run_scenario(60.0, *((second / 4, lambda reader: reader.ask()) for second in range(240)))
        assert len(harness.times("stocks")) <= 1 + 60.0 / PRICE_SECONDS
        gaps = [after - before for before, after in itertools.pairwise(harness.times("stocks"))]
        assert min(gaps) >= PRICE_SECONDS

    def test_hundreds_of_stocks_are_read_more_slowly(self):
        harness = Harness(stocks=tuple(f"S{number}" for number in range(401)))
        harness.run_scenario(46.0)
        assert harness.times("stocks") == [0.0, 15.0, 30.0, 45.0]

    def test_an_outage_is_noted_and_tried_again_with_growing_waits(self):
        harness = Harness(stocks=STOCKS, streamed=STOCKS)
        harness.brokerage.failures["stocks"] = OUTAGE
        harness.run_scenario(100.0)
        assert harness.times("stocks") == [0.0, 5.0, 15.0, 35.0, 65.0, 95.0]
        assert harness.failures == {"stocks": "serverError"}

    def test_stocks_that_alpaca_refuses_are_asked_for_only_every_half_minute(self):
        harness = Harness(stocks=STOCKS)
        harness.brokerage.failures["stocks"] = FORBIDDEN
        harness.run_scenario(
            75.0, (70.0, lambda _: harness.brokerage.failures.clear()), (71.0, lambda reader: reader.ask())
        )
        assert harness.times("stocks") == [0.0, 30.0, 60.0, 71.0]
        assert harness.failures == {}

    def test_refused_stocks_are_polled_again_after_a_new_key(self):
        harness = Harness(stocks=STOCKS)
        harness.brokerage.failures["stocks"] = FORBIDDEN
        harness.run_scenario(
            40.0, (20.0, lambda _: harness.brokerage.failures.clear()), (21.0, lambda reader: reader.forget())
        )
        assert harness.times("stocks") == [0.0, 21.0, 26.0, 31.0, 36.0]

    def test_a_failure_is_over_when_no_stock_is_left(self):
        harness = Harness(stocks=STOCKS, streamed=STOCKS)
        harness.brokerage.failures["stocks"] = OUTAGE
        harness.run_scenario(20.0, (8.0, lambda _: setattr(harness.sink, "stocks", ())))
        assert harness.failures == {}


class TestIndexes:
    def test_index_values_are_read_every_five_seconds_in_session(self):
        harness = Harness(indexes=("SPX",))
        harness.brokerage.index_levels = {"SPX": 65_432_100}
        harness.run_scenario(11.0)
        assert harness.times("indexes") == [0.0, 5.0, 10.0]
        ((value,), is_entitled) = harness.sink.last("confirm_indexes")
        assert (value.value_e4, is_entitled) == (65_432_100, True)

    def test_index_values_are_read_with_each_refresh_while_the_market_is_closed(self):
        harness = Harness(indexes=("SPX",), is_open=False)
        harness.run_scenario(61.0)
        assert harness.times("indexes") == [0.0, 60.0]

    def test_without_the_entitlement_index_values_are_requested_rarely_and_nothing_is_wrong(self):
        harness = Harness(indexes=("SPX",))
        harness.brokerage.index_levels = None
        harness.run_scenario(GRANT_SECONDS + 10.0, (100.0, lambda reader: reader.ask()))
        assert harness.times("indexes") == [0.0, GRANT_SECONDS]
        assert harness.sink.last("confirm_indexes") == ([], False)
        assert harness.failures == {}

    def test_a_grant_that_was_bought_is_used(self):
        harness = Harness(indexes=("SPX",))
        harness.brokerage.index_levels = None
        harness.run_scenario(
            GRANT_SECONDS + 11.0, (100.0, lambda _: setattr(harness.brokerage, "index_levels", {"SPX": 1}))
        )
        assert harness.times("indexes") == [0.0, GRANT_SECONDS, GRANT_SECONDS + 5.0, GRANT_SECONDS + 10.0]

    def test_another_key_may_have_the_grant(self):
        harness = Harness(indexes=("SPX",))
        harness.brokerage.index_levels = None
        harness.run_scenario(101.0, (100.0, lambda reader: reader.forget()))
        assert harness.times("indexes") == [0.0, 100.0]


class TestFigures:
    def test_figures_of_all_contracts_are_read_with_each_refresh(self):
        harness = Harness(held=CONDOR)
        harness.run_scenario(61.0)
        assert harness.asked("snapshots") == [(0.0, CONDOR), (60.0, CONDOR)]
        assert harness.sink.last("set_option_snapshots") == ([figures(symbol) for symbol in CONDOR],)

    def test_new_contracts_are_read_soon(self):
        harness = Harness(held=CONDOR[:2])
        harness.run_scenario(20.0, (7.0, lambda _: setattr(harness, "held", CONDOR)))
        assert harness.asked("snapshots") == [(0.0, CONDOR[:2]), (10.0, CONDOR)]

    def test_figures_needed_now_are_read_at_once_and_nothing_else(self):
        harness = Harness(stocks=STOCKS, streamed=STOCKS, held=CONDOR[:1])
        harness.run_scenario(
            8.0, (6.0, lambda _: setattr(harness, "held", CONDOR)), (6.5, lambda reader: reader.want())
        )
        assert harness.times("snapshots") == [0.0, 6.5]
        assert harness.times("stocks") == [0.0]

    def test_opposites_are_read_as_soon_as_they_are_known(self):
        harness = Harness()
        harness.run_scenario(20.0, (7.0, lambda _: setattr(harness.sink, "opposite_contracts", CONDOR[:1])))
        assert harness.asked("opposites") == [(10.0, CONDOR[:1])]
        assert harness.sink.last("set_opposite_quotes") == ([tick(CONDOR[0])],)

    @pytest.mark.parametrize("what", ["snapshots", "opposites"])
    def test_answers_before_a_failure_count(self, what):
        harness = Harness(held=CONDOR, opposite_contracts=CONDOR)

        async def half(symbols, take):
            take([tick(symbols[0])])
            raise OUTAGE

        harness.brokerage.option_snapshots = harness.brokerage.opposite_quotes = half
        harness.run_scenario(1.0)
        name = {"snapshots": "set_option_snapshots", "opposites": "set_opposite_quotes"}[what]
        assert harness.sink.last(name) == ([tick(CONDOR[0])],)
        assert harness.failures[what] == "serverError"

    @pytest.mark.parametrize("what", ["snapshots", "opposites"])
    def test_a_read_that_fails_as_a_whole_sets_nothing(self, what):
        harness = Harness(held=CONDOR, opposite_contracts=CONDOR)
        harness.brokerage.failures = dict.fromkeys(["snapshots", "opposites"], OUTAGE)
        harness.run_scenario(1.0)
        assert harness.failures[what] == "serverError"
        assert harness.sink.calls == []

    @pytest.mark.parametrize(("count", "snapshots", "opposites"), [(100, 1, 1), (2_000, 20, 20)])
    def test_thousands_of_contracts_stay_within_the_share(self, count, snapshots, opposites):
        symbols = tuple(f"S{number}" for number in range(count))
        harness = Harness(held=symbols, opposite_contracts=symbols)
        harness.run_scenario(600.0, *((float(second), lambda reader: reader.ask()) for second in range(600)))
        assert len(harness.times("snapshots")) * snapshots <= 10 * SNAPSHOTS_PER_MINUTE + snapshots
        assert len(harness.times("opposites")) * opposites <= 10 * OPPOSITES_PER_MINUTE + opposites
        assert SHARES["figures"].most > SNAPSHOTS_PER_MINUTE + OPPOSITES_PER_MINUTE
        gaps = [after - before for before, after in itertools.pairwise(harness.times("opposites"))]
        assert max(gaps) <= 125.0  # their quotes are kept for two minutes


class TestDividends:
    def test_dividends_around_today_are_read_once_a_day(self):
        harness = Harness(stocks=STOCKS, later=dt.timedelta(hours=13.9))  # six minutes before midnight in New York
        harness.brokerage.dividends_announced = [
            Dividend(symbol="SPY", ex_date=dt.date(2026, 12, 18), amount_e6=1_970_000, source="alpaca")
        ]
        harness.run_scenario(3600.0)
        days = [(dt.date(2026, 11, 15), dt.date(2027, 2, 3)), (dt.date(2026, 11, 16), dt.date(2027, 2, 4))]
        assert [argument for _, argument in harness.asked("dividends")] == [(("QQQ", "SPY"), *span) for span in days]
        assert harness.times("dividends")[1] == pytest.approx(360.0, abs=5.0)
        assert harness.sink.last("set_dividends") == (harness.brokerage.dividends_announced,)

    def test_a_new_underlying_makes_dividends_due_and_a_refresh_does_not(self):
        harness = Harness(stocks=("SPY",))
        harness.run_scenario(
            300.0, (101.0, lambda reader: reader.ask()), (201.0, lambda _: setattr(harness.sink, "stocks", STOCKS))
        )
        assert len(harness.times("dividends")) == 2
        assert harness.times("dividends")[1] == pytest.approx(203.5, abs=2.5)

    def test_after_failures_dividends_are_tried_again_with_growing_waits(self):
        harness = Harness(stocks=STOCKS)
        harness.brokerage.failures["dividends"] = OUTAGE
        harness.run_scenario(400.0)
        assert harness.times("dividends") == [0.0, 5.0, 15.0, 35.0, 75.0, 155.0, 315.0]
        assert harness.failures == {"dividends": "serverError"}

    def test_no_dividends_are_requested_for_indexes(self):
        harness = Harness(indexes=("SPX",))
        harness.run_scenario(10.0)
        assert harness.asked("dividends") == []


class TestBudget:
    def test_stocks_and_indexes_fit_into_the_share_of_prices(self):
        harness = Harness(stocks=STOCKS, indexes=("SPX",))
        harness.run_scenario(600.0, *((float(second), lambda reader: reader.ask()) for second in range(600)))
        times = sorted(harness.times("stocks") + harness.times("indexes"))
        most, seconds = SHARES["prices"]
        assert all(later - earlier >= seconds for earlier, later in zip(times, times[most:], strict=False))

    def test_each_kind_is_read_although_another_hangs(self):
        harness = Harness(stocks=STOCKS, indexes=("SPX",), held=CONDOR, opposite_contracts=CONDOR)

        async def hang(*_):
            await asyncio.Event().wait()

        harness.brokerage.stock_snapshots = hang
        harness.run_scenario(6.0)
        assert {name for name, _, _ in harness.brokerage.asked} == {"indexes", "snapshots", "opposites", "dividends"}

    def test_without_positions_nothing_is_requested(self):
        harness = Harness()
        harness.run_scenario(100.0, (50.0, lambda reader: reader.ask()))
        assert harness.brokerage.asked == []
