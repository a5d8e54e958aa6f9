"""The store against a plain model: every row in a list, aggregated by hand."""

import datetime as dt
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from condord.core.market_hours import exchange_day
from condord.history import queries
from condord.history.file import HistoryFile, StoredAccount, WriteJob
from condord.live.minutes import Extremes, HoldingPeriod
from condord.live.wire_history import HistoryQuery
from tests.history.rows import CONDOR, NOW_AT, OPEN_AT, OPENED_AT, SECOND, row

ACCOUNT = StoredAccount("hash", "simulator")
CENTS = st.none() | st.integers(-40, 40).map(lambda units: units * 50) | st.integers(-99_999, 99_999)
WIDTHS = st.integers(0, 3).map(lambda units: units * 50) | st.integers(0, 5000)
DAY = 1440
KEEP_DAYS = 3


class StoreAndModel(RuleBasedStateMachine):
    """Days of minutes, restarts, changes of quantity, re-entries, and days old enough to be reduced."""

    @initialize()
    def begin(self):
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name) / "history.sqlite3"
        self.minute, self.quantity, self.opened_at, self.rows, self.extremes = 0, 1, OPENED_AT, [], {}
        self.start()

    def start(self):
        self.file = HistoryFile(self.path, machine_at=lambda: OPEN_AT, keep_days=lambda: KEEP_DAYS)

    def teardown(self):
        if hasattr(self, "file"):
            self.file.close()
            self.directory.cleanup()

    @rule(values=st.lists(st.tuples(CENTS, WIDTHS, WIDTHS), min_size=1, max_size=25), is_held_back=st.booleans())
    def record(self, values, is_held_back):
        for cents, below, above in values:
            self.minute += 1
            low, high = (None, None) if cents is None else (cents - below, cents + above)
            new_row = row(
                self.minute,
                cents,
                low=low,
                high=high,
                quantity=self.quantity,
                opened_at=self.opened_at,
                is_held_back=is_held_back,
            )
            self.rows.append(new_row)
            self.file.add(
                WriteJob(
                    ACCOUNT,
                    lambda _connection, _account, writer, new_row=new_row: writer.write([new_row]),
                    new_row.second,
                )
            )
            self.file.write()
            if low is not None and not is_held_back:
                worst, best = self.extremes.get(self.opened_at, (low, high))
                self.extremes[self.opened_at] = min(worst, low), max(best, high)

    @rule(minutes=st.sampled_from([0, 7, 200, DAY, 2 * DAY, 9 * DAY]))
    def let_time_pass(self, minutes):
        self.minute += minutes

    @rule(quantity=st.integers(1, 3))
    def change_the_quantity(self, quantity):
        self.quantity = quantity

    @rule()
    def open_again(self):
        self.opened_at = OPEN_AT + dt.timedelta(minutes=self.minute, seconds=1)

    @rule()
    def restart(self):
        self.file.close()
        self.start()

    def held(self):
        """The rows of the newest holding."""
        newest = self.rows[-1].holding
        return [each for each in self.rows if each.holding == newest]

    @precondition(lambda self: self.rows)
    @rule(
        points=st.sampled_from([1, 2, 10, 600, 5000]),
        begin=st.none() | st.integers(0, 3000),
        length=st.none() | st.integers(1, 3000),
    )
    def query(self, points, begin, length):
        rows = self.held()
        from_second = None if begin is None else SECOND + 60 * begin + 17
        until_second = None if length is None else (from_second or SECOND) + 60 * length
        answer = self.file.read(
            lambda connection: queries.recorded(
                connection,
                ACCOUNT.hash,
                HistoryQuery(condor_id=CONDOR, from_at=at(from_second), until_at=at(until_second), points=points),
                NOW_AT,
            )
        )
        assert answer.opened_at == rows[-1].holding.opened_at
        step = answer.resolution_seconds
        assert step % 60 == 0
        assert len(answer.seconds) <= points
        is_reduced = self.rows[0].second < self.rows[-1].second - KEEP_DAYS * 86_400 and step % 900 == 0
        if is_reduced and (begin, length) != (None, None):
            return  # of reduced minutes only whole quarters are known
        chosen = [
            each
            for each in rows
            if (from_second is None or from_second <= each.second)
            and (until_second is None or each.second < until_second)
        ]
        assert shown(answer) == modelled(chosen, step)

    @precondition(lambda self: self.rows)
    @rule()
    def recall(self):
        newest = self.rows[-1]
        today = (OPEN_AT + dt.timedelta(days=9000)).date()
        past = self.file.read(lambda connection: queries.past(connection, ACCOUNT.hash, today))
        holding = newest.holding
        expected = self.extremes.get(holding.opened_at)
        assert past.extremes.get(holding) == (
            None if expected is None else Extremes(worst=expected[0], best=expected[1])
        )
        assert (past.quantities, past.credits_e4) == ({CONDOR: newest.quantity}, {CONDOR: newest.credit_e4})
        line = []
        for each in reversed(self.held()):
            if each.quantity != newest.quantity or day(each) != day(newest):
                break
            line.append((each.second, each.cents))
        line = [(second, cents) for second, cents in reversed(line) if cents is not None][-480:]
        found = past.lines.get(CONDOR)
        assert ([] if found is None else list(zip(found.seconds, found.cents, strict=True))) == line

    @precondition(lambda self: self.rows)
    @rule()
    def ask_for_extremes(self):
        for opened_at, (worst, best) in self.extremes.items():
            holding = HoldingPeriod(condor_id=CONDOR, opened_at=opened_at)
            found = self.file.read(lambda connection, one=holding: queries.extremes(connection, ACCOUNT.hash, [one]))
            assert found == {holding: Extremes(worst=worst, best=best)}


@pytest.fixture
def file(tmp_path):
    opened = HistoryFile(tmp_path / "history.sqlite3", machine_at=lambda: OPEN_AT, keep_days=lambda: 400)
    yield opened
    opened.close()


def recorded(file, minutes, now_minute, points=600, until_minute=None):
    """The answer to a query half a minute after the end of `now_minute`; rows are at the ends of `minutes`."""
    rows = [row(minute, 100 * minute) for minute in minutes]
    file.add(WriteJob(ACCOUNT, lambda _connection, _account, writer: writer.write(rows), rows[-1].second))
    file.write()
    query = HistoryQuery(
        condor_id=CONDOR, until_at=None if until_minute is None else at(SECOND + 60 * until_minute), points=points
    )
    now_at = at(SECOND + 60 * now_minute + 30)
    return file.read(lambda connection: queries.recorded(connection, ACCOUNT.hash, query, now_at))


@pytest.mark.parametrize("until_minute", [None, 8, 1000])
def test_the_current_bucket_ends_with_the_last_minute_that_has_ended(file, until_minute):
    answer = recorded(file, range(1, 8), 7, points=2, until_minute=until_minute)
    assert (answer.resolution_seconds, answer.cents) == (300, [500, 700])
    assert answer.seconds == [SECOND + 300, SECOND + 420]


@pytest.mark.parametrize("until_minute", [None, 1000])
def test_no_row_is_later_than_now(file, until_minute):
    answer = recorded(file, range(1, 8), 4, until_minute=until_minute)
    assert (answer.seconds[-1], answer.cents[-1]) == (SECOND + 240, 400)


def test_the_last_bucket_of_a_range_that_has_ended_has_its_full_length(file):
    assert recorded(file, range(1, 8), 60, points=2, until_minute=4).seconds == [SECOND + 300]
    assert recorded(file, range(1, 8), 60, points=2).seconds == [SECOND + 300, SECOND + 600]


@pytest.mark.parametrize(
    ("minutes", "resolution"), [(range(15, 75, 15), 900), ((15, 30, 45), 60), ((14, 15, 30, 45), 60)]
)
def test_points_a_quarter_of_an_hour_apart_are_not_minutes(file, minutes, resolution):
    assert recorded(file, minutes, 100).resolution_seconds == resolution


def at(second):
    return None if second is None else dt.datetime.fromtimestamp(second, dt.UTC)


def day(each):
    return exchange_day(at(each.second - 1))


def shown(answer):
    return list(
        zip(answer.seconds, answer.cents, answer.natural_cents, answer.low, answer.high, answer.quantity, strict=True)
    )


def modelled(rows, step):
    found = {}
    for each in rows:
        found.setdefault(-(-each.second // step) * step, []).append(each)
    return [
        (
            end,
            last([each.cents for each in some]),
            last([each.natural_cents for each in some]),
            min((each.low for each in some if each.low is not None), default=None),
            max((each.high for each in some if each.high is not None), default=None),
            some[-1].quantity,
        )
        for end, some in sorted(found.items())
    ]


def last(values):
    return next((value for value in reversed(values) if value is not None), None)


TestStoreAndModel = StoreAndModel.TestCase
TestStoreAndModel.settings = settings(stateful_step_count=20)
