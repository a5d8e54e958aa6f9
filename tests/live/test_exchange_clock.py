import datetime as dt

from condord.live.exchange_clock import ExchangeClock

MACHINE_AT = dt.datetime(2026, 11, 20, 15, tzinfo=dt.UTC)


def test_the_exchange_clock_is_the_machines_clock_until_it_is_corrected():
    assert ExchangeClock(lambda: MACHINE_AT)() == MACHINE_AT


def test_the_clock_is_corrected_no_further_than_needed():
    clock = ExchangeClock(lambda: MACHINE_AT)
    for least, most, offset in ((-3, 5, 0), (2, 9, 2), (-9, 1, 1), (1, 1, 1), (-9, -4, -4)):
        clock.correct(dt.timedelta(seconds=least), dt.timedelta(seconds=most))
        assert clock.offset == dt.timedelta(seconds=offset)


def test_a_correction_applies_from_then_on():
    clock = ExchangeClock(lambda: MACHINE_AT)
    clock.offset = dt.timedelta(days=28)
    assert (clock(), clock.machine_at()) == (MACHINE_AT + dt.timedelta(days=28), MACHINE_AT)
