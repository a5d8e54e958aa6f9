import datetime as dt

import pytest

from condord.simulator.holidays import closes_early, is_holiday

# As published by the exchange.
HOLIDAYS = {
    2025: ("01-01", "01-20", "02-17", "04-18", "05-26", "06-19", "07-04", "09-01", "11-27", "12-25"),
    2026: ("01-01", "01-19", "02-16", "04-03", "05-25", "06-19", "07-03", "09-07", "11-26", "12-25"),
    2027: ("01-01", "01-18", "02-15", "03-26", "05-31", "06-18", "07-05", "09-06", "11-25", "12-24"),
}
EARLY = {2025: ("07-03", "11-28", "12-24"), 2026: ("11-27", "12-24"), 2027: ("11-26",)}


def days(year):
    return [dt.date(year, 1, 1) + dt.timedelta(days=number) for number in range(365)]


@pytest.mark.parametrize("year", HOLIDAYS)
def test_the_exchange_is_closed_on_its_holidays(year):
    assert tuple(f"{day:%m-%d}" for day in days(year) if is_holiday(day)) == HOLIDAYS[year]


@pytest.mark.parametrize("year", EARLY)
def test_the_exchange_closes_early_before_or_after_some_holidays(year):
    assert tuple(f"{day:%m-%d}" for day in days(year) if closes_early(day)) == EARLY[year]


def test_a_new_years_day_on_a_saturday_is_not_observed():
    assert not is_holiday(dt.date(2021, 12, 31))
    assert not is_holiday(dt.date(2022, 1, 3))
