import io
import json
import logging
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from condord import logs
from condord.credentials import Secret

QUIET = ["websockets", "websockets.client", "urllib3", "asyncio", "uvicorn.error", "sse_starlette.sse", "alpaca.data"]


@pytest.fixture(autouse=True)
def _root():
    """The loggers as they were: they are the interpreter's."""
    root, named = logging.getLogger(), [logging.getLogger(name) for name in [*QUIET, "condord"]]
    before = [(each, each.level) for each in (root, *named)]
    yield
    root.handlers[:] = [each for each in root.handlers if not isinstance(each, logs._Output)]
    for each, level in before:
        each.setLevel(level)


def written(act, level="info", format="text", secrets=(), environ=None):  # noqa: A002
    stream = io.StringIO()
    logging.getLogger().handlers.clear()  # pytest's own, which raise what these tests provoke
    logs.configure(level, format, secrets=[Secret(each) for each in secrets], environ=environ or {}, stream=stream)
    act(logging.getLogger("condord.test"))
    return stream.getvalue()


def lines(*args, **kwargs):
    text = written(*args, **kwargs)
    assert not text or text.endswith("\n")
    return text.split("\n")[:-1]


def event(act, **kwargs):
    (line,) = lines(act, format="json", **kwargs)
    return json.loads(line)


def fail(text):
    def act(logger):
        try:
            raise ValueError(text)
        except ValueError:
            logger.exception("It broke", extra=logs.fields(symbol="SPY"))

    return act


def test_a_line_for_people_has_time_level_sentence_and_fields():
    (line,) = lines(
        lambda log: log.info("Stream is live", extra=logs.fields(symbols=8, feed="opra", why="a b", n=None))
    )
    assert re.fullmatch(
        r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d info    Stream is live symbols=8 feed=opra why="a b" n=null', line
    )


@pytest.mark.parametrize(
    ("level", "priority"), [("debug", 7), ("info", 6), ("warning", 4), ("error", 3), ("critical", 2)]
)
def test_a_line_for_the_journal_has_the_priority_and_no_time(level, priority):
    def act(log):
        getattr(log, level)("Stream is live", extra=logs.fields(symbols=8))

    assert lines(act, level="debug", environ={"JOURNAL_STREAM": "8:1"}) == [f"<{priority}>Stream is live symbols=8"]


def test_a_json_line_is_one_object_with_the_time_in_utc():
    found = event(
        lambda log: log.warning("Stream is stale", extra=logs.fields(symbols=8, since=1.5, ok=False, legs=("a", 1)))
    )
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found.pop("time"))
    assert found == {
        "level": "warning",
        "logger": "condord.test",
        "event": "Stream is stale",
        "fields": {"symbols": 8, "since": 1.5, "ok": False, "legs": ["a", 1]},
    }


def test_what_json_cannot_say_is_written_as_text():
    found = event(lambda log: log.info("x", extra=logs.fields(nan=float("nan"), path=io, big=10**5000)))["fields"]
    assert found["nan"] == "nan"
    assert "module" in found["path"]
    assert found["big"] == "(int)"


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_events_below_the_level_are_not_written(level):
    def act(log):
        for each in ("debug", "info", "warning", "error"):
            getattr(log, each)(each)

    names = ["debug", "info", "warning", "error"]
    assert [line.split(">")[1] for line in lines(act, level=level, environ={"JOURNAL_STREAM": "1"})] == names[
        names.index(level) :
    ]


@pytest.mark.parametrize("name", QUIET)
def test_libraries_that_print_secrets_never_speak_below_info(name):
    def act(_):
        logging.getLogger(name).setLevel(logging.DEBUG)  # as a library may
        logging.getLogger(name).debug("hush")
        logging.getLogger(name).info("heard")

    assert len(lines(act, level="debug")) == 1
    assert lines(act, level="warning", format="json")[0].count("heard") == 1
    logs.configure("error", "text", secrets=[], environ={}, stream=io.StringIO())
    assert not logging.getLogger(name).isEnabledFor(logging.WARNING) or logging.getLogger(name).level == logging.DEBUG


@pytest.mark.parametrize("format", ["text", "json"])
def test_configuring_again_replaces_what_was(format):  # noqa: A002
    first, second = io.StringIO(), io.StringIO()
    before = len(logging.getLogger().handlers)
    logs.configure("error", format, secrets=[], environ={}, stream=first)
    logs.configure("debug", format, secrets=[], environ={}, stream=second)
    assert len(logging.getLogger().handlers) == before + 1
    logging.getLogger("condord.test").debug("once")
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1


@pytest.mark.parametrize("format", ["text", "json"])
def test_an_exception_is_two_fields_and_no_traceback(format):  # noqa: A002
    (line,) = lines(fail("too\nbad"), format=format)
    assert "Traceback" not in line
    assert "ValueError: too" in line
    assert "test_logs.py:" in line


def test_at_level_debug_the_traceback_is_indented_below_the_event():
    head, *rest = lines(fail("too\nbad"), level="debug")
    assert "It broke" in head
    assert "Traceback" in rest[0]
    assert all(line.startswith("    ") for line in rest)
    head, *rest = lines(fail("too\nbad"), level="debug", environ={"JOURNAL_STREAM": "1"})
    assert all(line.startswith("<3>    ") for line in rest)
    assert "Traceback" in event(fail("too"), level="debug")["fields"]["traceback"]


@settings(deadline=None)  # a busy machine is no fault
@given(text=st.text(), format=st.sampled_from(["text", "json"]), journal=st.booleans())
def test_whatever_is_logged_it_is_one_line(text, format, journal):  # noqa: A002
    def act(log):
        log.error(text, extra=logs.fields(of=text, many=[text], **{text: 1}))
        log.error("%s", text)

    found = lines(act, format=format, environ={"JOURNAL_STREAM": "1"} if journal else {})
    assert len(found) == 2
    assert all(line.isprintable() for line in found)


words = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=6, max_size=40)


@settings(deadline=None)  # a busy machine is no fault
@given(secret=words, level=st.sampled_from(["info", "debug"]), format=st.sampled_from(["text", "json"]))
def test_a_secret_is_written_nowhere(secret, level, format):  # noqa: A002
    def act(log):
        log.info(secret)
        log.info("A %s", f"b{secret}c")
        log.info(
            "A", extra=logs.fields(a=secret, b={"k": secret}, c=[secret], d=f"http://x/?t={secret}", e=secret.encode())
        )
        fail(f"bad {secret}")(log)
        fail({secret: 1})(log)
        log.info("A %d", secret)

    assert shown_forms(secret).isdisjoint(pieces(written(act, level, format, [secret]), len(secret)))


def shown_forms(secret):
    return {secret}


def pieces(text, length):
    return {text[start : start + length] for start in range(len(text))}


def test_a_secret_made_of_digits_is_not_written_as_a_number():
    assert event(lambda log: log.info("x", extra=logs.fields(n=12345678)), secrets=["345678"])["fields"] == {
        "n": "12***"
    }


def test_a_secret_is_masked_in_the_forms_of_json_and_urls():
    text = written(lambda log: log.info('a "b\\"/c" b%22%2Fc'), secrets=['b"/c'])
    assert '"***" ***' in text


def test_an_empty_secret_masks_nothing():
    assert "quiet" in written(lambda log: log.info("quiet"), secrets=[""])


def test_a_sentence_whose_arguments_do_not_fit_is_written_all_the_same():
    assert "%d symbols" in written(lambda log: log.info("%d symbols", "no"))


def test_a_value_that_cannot_say_what_it_is_does_not_cost_the_event():
    class Mute:
        def __str__(self):
            raise RuntimeError

    assert "of=(Mute)" in written(lambda log: log.info("A", extra=logs.fields(of=Mute()))).replace('"', "")


def test_fields_of_another_kind_are_left_out():
    assert lines(lambda log: log.info("A", extra={"fields": 3}), environ={"JOURNAL_STREAM": "1"}) == ["<6>A"]


def test_an_event_that_cannot_be_written_is_lost_without_a_word(capsys):
    stream = io.StringIO()
    logs.configure("info", "text", secrets=[], environ={}, stream=stream)
    stream.close()
    logging.getLogger("condord.test").info("A")
    assert capsys.readouterr() == ("", "")


def test_without_a_stream_it_goes_to_stderr(capsys):
    logs.configure("info", "text", secrets=[], environ={})
    logging.getLogger("condord.test").info("heard")
    assert "heard" in capsys.readouterr().err
