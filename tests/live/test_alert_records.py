"""The stored rows of alerts."""

import msgspec

from condord.live.alert_records import AlertRecord, Transition

from .alert_parts import NOON_AT
from .test_alert_list import record


def test_a_record_survives_being_stored():
    original = record(opened_at=NOON_AT, last="ended", until=NOON_AT, value=51.2, held_seconds=12.5, serial=3)
    assert msgspec.json.decode(msgspec.json.encode(original), type=AlertRecord) == original


def test_a_transition_has_the_channels_of_its_rule():
    original = Transition(kind="repeat", record=record(), notify=("phone",))
    assert msgspec.json.decode(msgspec.json.encode(original), type=Transition) == original
