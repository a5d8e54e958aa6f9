import msgspec
import pytest

from condord.core.quote import judge
from condord.live.quote_changes import has_same_prices, moved, quote_counts

from .accounts import P560, tick

PUBLISHED = judge(tick(P560, 1.0, 1.2), None)


def quote(bid, ask, second=0.0):
    return judge(tick(P560, bid, ask, second), None)


@pytest.mark.parametrize(
    ("newest", "counts"),
    [
        (quote(1.0, 1.2, 5), False),
        (quote(1.005, 1.2), False),
        (quote(1.01, 1.2), True),
        (quote(1.0, 1.19), True),
        (quote(1.006, 1.214), True),
        (quote(1.2, 1.2), True),
        (quote(0.0, 0.0), True),
    ],
)
def test_a_quote_counts_if_its_state_changed_or_its_price_moved_by_the_least_change(newest, counts):
    assert quote_counts(newest, PUBLISHED, 100) is counts


@pytest.mark.parametrize(
    ("newest_e4", "published_e4", "has_moved"),
    [(None, None, False), (None, 1, True), (1, None, True), (1, 1, False), (1, 101, True), (1, 100, False)],
)
def test_a_price_has_moved_if_by_the_least_change_or_if_it_became_known_or_unknown(newest_e4, published_e4, has_moved):
    assert moved(newest_e4, published_e4, 100) is has_moved


def test_without_a_least_change_every_move_counts_and_no_move_does_not():
    assert moved(1, 2, 0)
    assert not moved(1, 1, 0)


def test_a_change_of_size_or_time_is_not_a_change_of_price():
    assert has_same_prices(msgspec.structs.replace(quote(1.0, 1.2, 5), bid_size=7), PUBLISHED)
    assert not has_same_prices(quote(1.0001, 1.2), PUBLISHED)
