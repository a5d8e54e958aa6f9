import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.cli.keys import Keys


@pytest.mark.parametrize(
    ("data", "keys"),
    [
        (b"q/n", ["q", "/", "n"]),
        (b"\x1b[A\x1bOB", ["up", "down"]),
        (b"\x1b[5~\x1b[6~\x02\x06", ["page-up", "page-down", "page-up", "page-down"]),
        (b"\x1b[H\x1b[1~\x1bOF\x1b[8~", ["home", "home", "end", "end"]),
        (b"\r\n\x7f\x08\x15\x0c", ["enter", "enter", "backspace", "backspace", "erase", "repaint"]),
        ("é—".encode(), ["é", "—"]),
        (b"\x1b[1;5A\x00\x1b[200~", []),
        (b"\x1b\x1b[A", ["escape", "up"]),
        (b"\xff", ["\ufffd"]),
    ],
)
def test_bytes_are_decoded_to_keys(data, keys):
    decoder = Keys()
    assert decoder.feed(data) == keys
    assert not decoder.is_open


def test_a_sequence_may_arrive_in_parts():
    decoder = Keys()
    assert decoder.feed(b"x\x1b") == ["x"]
    assert decoder.is_open
    assert decoder.feed(b"[") == []
    assert decoder.feed(b"5") == []
    assert decoder.feed(b"~q") == ["page-up", "q"]
    assert decoder.feed("é".encode()[:1]) == []
    assert decoder.feed("é".encode()[1:]) == ["é"]


def test_escape_by_itself_is_a_key_once_nothing_follows():
    decoder = Keys()
    assert decoder.feed(b"\x1b") == []
    assert decoder.close() == ["escape"]
    assert decoder.close() == []
    assert not decoder.is_open


@given(st.binary(max_size=40))
def test_any_bytes_are_decoded_and_every_key_is_printable(data):
    decoder = Keys()
    assert all(key.isprintable() for key in [*decoder.feed(data), *decoder.close()])
