import datetime as dt

import msgspec

from condord.live.day import DayMemory
from condord.live.lifecycle import Memory, ReadingSummary
from condord.live.past import Past, past

from .accounts import EPOCH_AT

MEMORY = Memory(shown=ReadingSummary(at=EPOCH_AT, held={}, stocks={"SPY": 100}, condors=()), first_seen={"a": EPOCH_AT})
DAY = DayMemory(day=dt.date(2026, 11, 20), closes_e4={"a": 1})


def test_the_past_has_the_memory_of_the_account_and_of_its_day():
    joined = past(MEMORY, DAY)
    assert {name: getattr(joined, name) for name in MEMORY.__struct_fields__} == msgspec.structs.asdict(MEMORY)
    assert joined.day == DAY
    assert msgspec.json.decode(msgspec.json.encode(joined), type=Past) == joined


def test_a_file_written_by_an_earlier_version_has_no_day():
    assert msgspec.json.decode(msgspec.json.encode(MEMORY), type=Past) == past(MEMORY, DayMemory())


def test_pasts_that_differ_only_in_the_time_of_reading_count_as_equal():
    later = ReadingSummary(at=EPOCH_AT + dt.timedelta(hours=1), held={}, stocks={"SPY": 100}, condors=())
    assert past(MEMORY, DAY).is_like(past(msgspec.structs.replace(MEMORY, shown=later), DAY))
    assert not past(MEMORY, DAY).is_like(past(MEMORY, DayMemory()))
