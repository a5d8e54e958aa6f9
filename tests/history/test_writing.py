import datetime as dt
from contextlib import closing

import pytest

from condord.history import queries, writing
from condord.history.schema import MIGRATIONS
from condord.history.writing import Writer, id_of_account, last_minute, tidy
from condord.host import database
from tests.history.rows import CONDOR, OPEN_AT, SECOND, row

LATER_AT = OPEN_AT + dt.timedelta(minutes=2, seconds=1)
DAY = 1440


@pytest.fixture
def connection(tmp_path):
    with closing(database.open_writer(tmp_path / "history.sqlite3", MIGRATIONS)) as opened:
        yield opened


@pytest.fixture
def writer(connection):
    return Writer(connection, id_of_account(connection, "hash", "simulator"))


def holdings(connection):
    return connection.execute(
        "SELECT condor, opened_at, worst_pl, best_pl FROM holdings ORDER BY condor, opened_at"
    ).fetchall()


def count(connection, table):
    return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608


def openings(connection):
    return [opened_at for _, opened_at, *_ in holdings(connection)]


def stored(connection):
    return connection.execute("SELECT pl, low, high FROM minutes WHERE condor IS NOT NULL").fetchall()


class TestMinuteOfTwoProcesses:
    def test_the_minute_has_the_extremes_of_both_processes(self, connection, writer):
        writer.write([row(1, 1000, low=-5000)])
        Writer(connection, 1).write([row(1, 2000)])
        assert stored(connection) == [(20.0, -50.0, 20.5)]

    def test_the_minute_has_the_last_known_value(self, connection, writer):
        writer.write([row(1, 1000)])
        Writer(connection, 1).write([row(1, None)])
        assert stored(connection) == [(10.0, 9.5, 10.5)]

    def test_rows_of_different_quantities_are_not_joined(self, connection, writer):
        writer.write([row(1, 1000)])
        Writer(connection, 1).write([row(1, 2000, quantity=2)])
        assert stored(connection) == [(10.0, 9.5, 10.5), (20.0, 19.5, 20.5)]

    def test_a_minute_that_one_process_writes_again_is_replaced(self, connection, writer):
        writer.write([row(1, 1000)])
        writer.write([row(1, 2000)])
        assert stored(connection) == [(20.0, 19.5, 20.5)]


class TestHoldings:
    def test_an_unknown_and_a_later_known_opening_are_the_same_holding(self, connection, writer):
        writer.write([row(1, 1000, opened_at=None)])
        writer.write([row(2, 3000)])
        writer.write([row(3, 2000, opened_at=None)])
        assert holdings(connection) == [(CONDOR, "2026-11-16T15:30:05.250Z", 9.5, 30.5)]

    def test_a_later_opening_is_a_new_holding(self, connection, writer):
        writer.write([row(1, 1000)])
        writer.write([row(2, 3000), row(2, -100, opened_at=LATER_AT)])
        writer.write([row(3, -100, opened_at=LATER_AT)])
        assert openings(connection) == ["2026-11-16T15:30:05.250Z", "2026-11-20T14:32:01.000Z"]
        assert count(connection, "runs") == 2

    def test_an_opening_earlier_than_the_recorded_one_is_the_same_holding(self, connection, writer):
        writer.write([row(1, 1000, opened_at=LATER_AT)])
        writer.write([row(2, 1000)])
        writer.write([row(3, 1000, opened_at=LATER_AT)])
        assert len(holdings(connection)) == 1

    def test_a_holding_opened_after_the_last_minute_of_an_unknown_one_is_a_new_one(self, connection, writer):
        writer.write([row(1, 1000, opened_at=None)])
        writer.write([row(3, 1000, opened_at=LATER_AT)])
        assert openings(connection) == [None, "2026-11-20T14:32:01.000Z"]

    def test_the_second_of_two_unknown_openings_is_new_if_the_account_was_recorded_on_a_day_between(self, connection):
        number = id_of_account(connection, "hash", "simulator")
        Writer(connection, number).write([row(1, 1000, opened_at=None), row(1, 1000, condor=None)])
        Writer(connection, number).write([row(DAY, 3000, opened_at=None), row(DAY, 1000, condor=None)])
        assert openings(connection) == [None]
        assert len(queries.past(connection, "hash", OPEN_AT.date()).extremes) == 1
        Writer(connection, number).write([row(2 * DAY, 1000, condor=None)])
        assert queries.past(connection, "hash", OPEN_AT.date()).extremes == {}
        Writer(connection, number).write([row(3 * DAY, 3000, opened_at=None), row(3 * DAY, 1000, condor=None)])
        assert openings(connection) == [None, None]

    def test_the_account_is_not_a_holding(self, connection, writer):
        writer.write([row(1, 1000, condor=None)])
        assert holdings(connection) == []
        assert count(connection, "minutes") == 1

    def test_accounts_do_not_mix(self, connection, writer):
        writer.write([row(1, 1000)])
        Writer(connection, id_of_account(connection, "other", "simulator")).write([row(1, 1000)])
        assert count(connection, "series") == 2
        assert count(connection, "accounts") == 2

    def test_minutes_held_back_and_unknown_ones_count_in_no_extreme(self, connection, writer):
        writer.write([row(1, 1000), row(2, -90_000, is_held_back=True), row(3, None)])
        assert holdings(connection) == [(CONDOR, "2026-11-16T15:30:05.250Z", 9.5, 10.5)]


class TestRuns:
    def test_a_minute_written_again_is_replaced(self, connection, writer):
        writer.write([row(1, 1000), row(1, 2000)])
        assert connection.execute("SELECT pl FROM minutes").fetchall() == [(20.0,)]

    @pytest.mark.parametrize("changes", [{"quantity": 2}, {"credit_e4": None}, {"second": SECOND + 60 * DAY}])
    def test_another_quantity_credit_or_day_begins_a_run(self, connection, writer, changes):
        writer.write([row(1, 1000), row(2, 1000), row(3, 1000, **changes), row(3, 1000, **changes)])
        assert count(connection, "runs") == 2

    def test_a_value_in_another_unit_begins_one_more_run(self, connection, writer):
        rows = [row(minute, cents) for minute, cents in enumerate([None, 1000, 1050, 1051, 1052, 1100], 1)]
        writer.write(rows)
        assert connection.execute("SELECT cents, unit_cents FROM runs").fetchall() == [
            (None, 50),
            (1000, 50),
            (1051, 1),
        ]
        found = connection.execute("SELECT pl, natural_pl, low, high FROM minutes ORDER BY time").fetchall()
        wanted = [(each.cents, each.natural_cents, each.low, each.high) for each in rows]
        assert found == [tuple(None if cents is None else cents / 100 for cents in some) for some in wanted]

    def test_minutes_without_a_mark_keep_their_other_values(self, connection, writer):
        writer.write([row(minute, None, natural_cents=-123, low=-7, high=9) for minute in (1, 2)])
        assert (
            connection.execute("SELECT pl, natural_pl, low, high FROM minutes").fetchall()
            == [(None, -1.23, -0.07, 0.09)] * 2
        )
        assert count(connection, "runs") == 1

    def test_a_clock_that_was_set_back_begins_a_run(self, connection, writer):
        writer.write([row(10, 1000), row(5, 2000)])
        assert connection.execute("SELECT pl FROM minutes ORDER BY time").fetchall() == [(20.0,), (10.0,)]


class TestTidying:
    def test_minutes_move_on_the_next_day_and_stay_readable(self, connection, writer):
        writer.write([row(minute, minute * 50) for minute in range(1, 31)])
        before = connection.execute("SELECT * FROM minutes ORDER BY time").fetchall()
        assert not tidy(connection, SECOND + 1800, 400)
        assert tidy(connection, SECOND + 60 * DAY, 400)
        assert (count(connection, "recent"), count(connection, "points"), count(connection, "quarters")) == (0, 30, 2)
        assert connection.execute("SELECT * FROM minutes ORDER BY time").fetchall() == before

    def test_old_minutes_are_reduced_to_quarters_that_keep_a_crash_of_one_minute(self, connection, writer):
        writer.write([row(minute, 5000, low=-80_000 if minute == 20 else 5000) for minute in range(1, 31)])
        tidy(connection, SECOND + 60 * DAY * 13, 12)
        assert count(connection, "points") == 30
        tidy(connection, SECOND + 60 * DAY * 14, 12)
        assert count(connection, "points") == 0
        found = connection.execute("SELECT time, pl, low, high FROM quarter_hours ORDER BY time").fetchall()
        assert found == [("2026-11-20T14:45:00Z", 50.0, 50.0, 50.5), ("2026-11-20T15:00:00Z", 50.0, -800.0, 50.5)]

    def test_minutes_of_a_day_that_has_moved_are_kept_if_the_clock_was_ahead(self, connection, writer):
        writer.write([row(1, 1000)])
        tidy(connection, SECOND + 60 * DAY, 400)
        Writer(connection, 1).write([row(2, 2000, low=-5000)])
        assert connection.execute("SELECT pl FROM minutes ORDER BY time").fetchall() == [(10.0,), (20.0,)]
        tidy(connection, SECOND + 60 * DAY, 400)
        assert connection.execute("SELECT pl, low FROM quarter_hours").fetchall() == [(20.0, -50.0)]

    def test_nothing_is_reduced_if_minutes_are_kept_without_limit(self, connection, writer):
        writer.write([row(1, 1000)])
        tidy(connection, SECOND + 60 * DAY * 5000, 0)
        assert count(connection, "points") == 1

    def test_a_call_handles_a_limited_number_of_runs(self, connection, writer):
        writer.write([row(1, 1000, condor=f"SPY-{number}") for number in range(writing.STEPS + 5)])
        assert tidy(connection, SECOND + 60 * DAY, 400)
        assert count(connection, "points") == writing.STEPS
        assert tidy(connection, SECOND + 60 * DAY, 400)
        assert not tidy(connection, SECOND + 60 * DAY, 400)
        assert count(connection, "points") == writing.STEPS + 5

    def test_the_last_minute_is_known_whether_minutes_are_recent_moved_or_reduced(self, connection, writer):
        assert last_minute(connection, 1) is None
        writer.write([row(1, 1000), row(20, 1000)])
        minutes = [last_minute(connection, 1) * 60 - SECOND]
        for days in (1, 20):
            tidy(connection, SECOND + 60 * DAY * days, 5)
            minutes.append(last_minute(connection, 1) * 60 - SECOND)
        assert minutes == [1200, 1200, 1800]

    def test_days_begin_at_midnight_in_new_york_also_after_a_change_of_the_clocks(self):
        at = dt.datetime(2026, 11, 2, 5, 0, tzinfo=dt.UTC)  # standard time since November 1
        assert writing.day_of(int(at.timestamp()) // 60) == dt.date(2026, 11, 1)
        assert writing.day_of(int(at.timestamp()) // 60 + 1) == dt.date(2026, 11, 2)
