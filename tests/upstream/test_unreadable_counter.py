import logging
import threading

from condord.upstream.unreadable_counter import UnreadableCounter


def test_each_kind_is_counted_and_logged_once(caplog):
    refusals = UnreadableCounter()
    with caplog.at_level(logging.WARNING):
        for kind in ("quote", "quote", "stockRow", "quote"):
            refusals(kind)
    assert refusals.counts == {"quote": 3, "stockRow": 1}
    assert [record.fields["kind"] for record in caplog.records] == ["quote", "stockRow"]


def test_a_returned_count_does_not_change_later():
    refusals = UnreadableCounter()
    before = refusals.counts
    refusals("quote")
    assert before == {}


def test_threads_lose_no_count():
    refusals = UnreadableCounter()
    threads = [threading.Thread(target=lambda: [refusals("quote") for _ in range(500)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert refusals.counts == {"quote": 2_000}
