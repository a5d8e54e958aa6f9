import datetime as dt

import msgspec
import pytest

from condord.cli.recorded import recorded_lines
from condord.cli.screen import Screen
from condord.live.wire_history import RecordedJson
from tests.fakes import documents

ID = documents.CONDOR_ID
CLOSE = 1795208400  # 2026-11-20 16:00 in New York
NOW = dt.datetime(2026, 11, 20, 22, 0, tzinfo=dt.UTC)


def lines(cents, *, width=None, colour=False, **changes):
    seconds = [CLOSE - 60 * (len(cents) - at - 1) for at in range(len(cents))]
    values = {"seconds": seconds, "cents": cents, "naturalCents": cents, "low": cents, "high": cents, **changes}
    unknown = [None] * len(cents)
    answer = documents.recorded(price=unknown, quantity=unknown, **values)
    return recorded_lines(msgspec.convert(answer, RecordedJson), NOW, Screen(width=width, colour=colour))


def test_a_line_has_its_extremes_with_their_times_and_what_is_known():
    assert lines([1000, -2500, None, 12345, 8000], id=ID, openedAt="2026-11-09T14:47:12Z") == [
        f"{ID}  opened Nov 9 09:47 ET",
        "▃▁ █▆",
        "first   +10.00  Nov 20 15:56 ET",
        "low     -25.00  Nov 20 15:57 ET",
        "high   +123.45  Nov 20 15:59 ET",
        "last    +80.00  Nov 20 16:00 ET",
        "5 points of 1 min · P/L unknown in 1",
    ]


def test_the_year_is_shown_unless_it_is_this_one():
    assert lines([100], openedAt="2025-11-09T14:47:12Z")[0] == "open condors  opened Nov 9, 2025 09:47 ET"


def test_without_an_id_the_summary_covers_all_open_condors():
    assert lines([100])[0] == "open condors"
    assert lines([100])[-1] == "1 point of 1 min"


def test_extremes_include_those_within_the_minutes():
    shown = lines([100, 200], low=[-9000, 150], high=[120, 7000])
    assert shown[3:5] == ["low    -90.00  Nov 20 15:59 ET", "high   +70.00  Nov 20 16:00 ET"]
    assert shown[1] == "▁█"


def test_without_rows_only_their_absence_is_shown():
    assert lines([], id=ID) == [ID, "Nothing is recorded in this range."]


def test_a_value_that_was_never_known_is_a_dash():
    assert lines([None, None]) == [
        "open condors",
        "first  —",
        "low    —",
        "high   —",
        "last   —",
        "2 points of 1 min · P/L unknown in 2",
    ]


def test_absent_minutes_count_only_within_sessions():
    at = [CLOSE - 86_400, CLOSE - 86_340, CLOSE - 600, CLOSE - 540, CLOSE]
    assert lines([1, 2, 3, 4, 5], seconds=at)[-1] == "5 points of 1 min · 8 min absent within sessions"


@pytest.mark.parametrize(
    ("seconds", "text"), [(60, "1 min"), (900, "15 min"), (7200, "2 h"), (9000, "2 h 30 min"), (93_600, "26 h")]
)
def test_the_resolution_is_shown_as_a_duration(seconds, text):
    assert lines([1], resolutionSeconds=seconds)[-1] == f"1 point of {text}"


def test_the_line_is_as_wide_as_the_terminal_and_80_bars_in_a_pipe():
    cents = list(range(300))
    assert len(lines(cents)[1]) == 80
    shown = lines(cents, width=30, seconds=[CLOSE + 120 * at for at in range(300)])
    assert len(shown[1]) == 30
    assert shown[-2:] == ["300 points of 1 min", "4 h 58 min absent within sessions"]
    assert all(len(line) <= 36 for line in shown)


def test_the_time_of_a_bucket_is_its_range():
    shown = lines([1000, 8000], resolutionSeconds=900, seconds=[CLOSE - 900, CLOSE])
    assert shown[2] == "first  +10.00  Nov 20 15:30 to 15:45 ET"
    assert shown[-2:] == ["last   +80.00  Nov 20 15:45 to 16:00 ET", "2 points of 15 min"]
    shown = lines([1000], resolutionSeconds=86_400, seconds=[CLOSE])
    assert shown[-2] == "last   +10.00  Nov 19 19:00 to Nov 20 16:00 ET"  # the current bucket ends early
    shown = lines([1000], resolutionSeconds=2 * 86_400, seconds=[CLOSE])
    assert shown[-2] == "last   +10.00  Nov 18 19:00 to Nov 20 16:00 ET"


def test_the_range_of_a_bucket_does_not_begin_before_the_condor():
    opened = "2026-11-20T20:36:12Z"
    shown = lines([1000, 8000], id=ID, openedAt=opened, resolutionSeconds=900, seconds=[CLOSE - 900, CLOSE])
    assert shown[2] == "first  +10.00  Nov 20 15:36 to 15:45 ET"


def test_the_current_bucket_hides_no_absent_time():
    shown = lines([1, 2], resolutionSeconds=900, seconds=[CLOSE - 3600, CLOSE - 600])
    assert shown[-1] == "2 points of 15 min · 45 min absent within sessions"


def test_gains_and_losses_are_coloured():
    assert lines([-500, 500], colour=True)[2].startswith("first  \x1b[31m-5.00\x1b[0m  ")
