"""The event stream parser, by itself and against the daemon's own frames."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.client import sse
from condord.client.sse import EventParser, ServerSentEvent
from condord.errors import Unavailable
from condord.live import wire
from condord.live.frames import framed, lines


def event(data, name="message", **identity):
    return ServerSentEvent(name=name, data=data, **({"id": None} | identity))


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\n", [event("a")]),
        (b"data:a\n\n", [event("a")]),
        (b"data:  a\n\n", [event(" a")]),
        (b"data: a\r\rdata: b\r\n\r\ndata: c\n\n", [event("a"), event("b"), event("c")]),
        (b"data: a\ndata: b\ndata\n\n", [event("a\nb\n")]),
        (b"data\n\n", [event("")]),
        (b"event: delta\nid: k-1\ndata: {}\n\n", [event("{}", "delta", id="k-1")]),
        (b"id: k-1\ndata: a\n\ndata: b\n\n", [event("a", id="k-1"), event("b")]),
        (b"id: k-1\n\ndata: a\n\n", [event("a", id="k-1")]),
        (b"id: a\0b\ndata: a\n\n", [event("a")]),
        (b"id\ndata: a\n\n", [event("a", id="")]),
        (b"event: delta\n\ndata: a\n\n", [event("a")]),
        (b": ping\n\n:\n\ndata: a\n: in between\ndata: b\n\n", [event("a\nb")]),
        (b"\xef\xbb\xbfdata: a\n\n", [event("a")]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", [event("b")]),
        (b"Data: a\nunknown: b\n\n", []),
        (b"data: a\n", []),
        (b"data: \xe2\x82\xac \xff\n\n", [event("€ \N{REPLACEMENT CHARACTER}")]),
        (b"data: a\x85b\x0bc\n\n", [event("a\N{REPLACEMENT CHARACTER}b\x0bc")]),
    ],
)
def test_streams_are_parsed_as_the_standard_defines(stream, events):
    assert EventParser().feed(stream) == events


@pytest.mark.parametrize(
    ("line", "retry_ms"), [("retry: 2000", 2000), ("retry: 2s", None), ("retry:", None), ("retry: ²", None)]
)
def test_retry_is_ignored_unless_it_is_all_digits(line, retry_ms):
    parser = EventParser()
    parser.feed(f"{line}\n\n".encode())
    assert parser.retry_ms == retry_ms


LINES = st.lists(
    st.one_of(
        st.sampled_from(
            ["", "data", "data: {}", "event: delta", "id: k-1", "retry: 5", ":", ": ping", "id: \0", "dat"]
        ),
        st.builds("data: {}".format, st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]))),
    )
)


@pytest.mark.slow
@given(LINES, st.data())
def test_events_do_not_depend_on_where_the_bytes_are_split(lines, data):
    ends = data.draw(st.lists(st.sampled_from(["\n", "\r", "\r\n"]), min_size=len(lines), max_size=len(lines)))
    stream = "".join(line + end for line, end in zip(lines, ends, strict=True)).encode()
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)))))
    whole, split = EventParser(), EventParser()
    events = [event for a, b in pairwise([0, *cuts, len(stream)]) for event in split.feed(stream[a:b])]
    assert events == whole.feed(stream)
    assert split.retry_ms == whole.retry_ms


@pytest.mark.slow
@given(st.lists(st.tuples(st.sampled_from(["snapshot", "delta"]), st.text(), st.integers(0).map("k3f9-{}".format))))
def test_frames_of_the_daemon_are_parsed_back_to_what_was_framed(sent):
    stream = b"".join(framed(name, {"text": text}, version) for name, text, version in sent)
    events = EventParser().feed(stream)
    assert [(event.name, json.loads(event.data)["text"], event.id) for event in events] == sent


def test_data_that_the_daemon_splits_over_lines_is_one_event():
    reasons = {f"reason{number}": number for number in range(10_000)}
    data = wire.encode(reasons)
    framed = b"retry: 2000\nevent: snapshot\n" + b"".join(b"data: %b\n" % line for line in lines(data, 9_000)) + b"\n"
    [event] = EventParser().feed(framed)
    assert event.data.count("\n") > 10
    assert json.loads(event.data) == reasons


def test_an_event_larger_than_the_limit_is_an_error(monkeypatch):
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
    parser = EventParser()
    parser.feed(b"data: a\n\n" * 50)
    parser.feed(b"data: 0123456789\n" * 5)
    with pytest.raises(Unavailable):
        parser.feed(b"data: 0123456789\n")
