import base64
import io
import json
import logging
import os
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from condord.host import journal, logs
from condord.host.secret import Secret
from tests.fakes.journald import Journald

QUIET = ["websockets", "websockets.client", "urllib3", "asyncio", "uvicorn.error", "sse_starlette.sse", "alpaca.data"]


@pytest.fixture(autouse=True)
def _root():
    """Restores the loggers, which belong to the whole interpreter."""
    root, named = logging.getLogger(), [logging.getLogger(name) for name in [*QUIET, "condord"]]
    levels = [(logger, logger.level) for logger in (root, *named)]
    yield
    for handler in filter(is_ours, root.handlers[:]):
        root.removeHandler(handler)
        handler.close()
    for logger, level in levels:
        logger.setLevel(level)


def log(act, level, format, secrets, environ, stream):  # noqa: A002
    root = logging.getLogger()
    root.handlers[:] = filter(
        is_ours, root.handlers
    )  # pytest's own handlers would raise the errors that these tests provoke
    logs.configure(level, format, secrets=[Secret(text) for text in secrets], environ=environ, stream=stream)
    act(logging.getLogger("condord.test"))


def is_ours(handler):
    return isinstance(handler, logs._LogOutput)


def written(act, level="info", format="text", secrets=(), environ=None):  # noqa: A002
    stream = io.StringIO()
    log(act, level, format, secrets, environ or {}, stream)
    return stream.getvalue()


def lines(*args, **kwargs):
    text = written(*args, **kwargs)
    assert not text or text.endswith("\n")
    return text.split("\n")[:-1]


def event(act, **kwargs):
    (line,) = lines(act, format="json", **kwargs)
    return json.loads(line)


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def service(tmp_path, monkeypatch):
    """An environment as under systemd: JOURNAL_STREAM names the file of stderr, and a journald listens."""
    with Journald(tmp_path / "socket") as journald, (tmp_path / "stderr").open("w+") as stderr:
        monkeypatch.setattr(journal, "ADDRESS", journald.address)
        yield Service(journald, stderr)


class Service:
    def __init__(self, journald, stderr):
        self.journald = journald
        self.stderr = stderr

    def log(self, act, level="info", format="text", secrets=()):  # noqa: A002
        status = os.fstat(self.stderr.fileno())
        log(act, level, format, secrets, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}, self.stderr)

    def entries(self, *args, **kwargs):
        """The entries that these events write to the journal."""
        self.log(*args, **kwargs)
        return self.journald.entries()

    @property
    def stderr_text(self):
        """The content of stderr."""
        self.stderr.seek(0)
        return self.stderr.read()


def fail(text):
    def act(logger):
        try:
            raise ValueError(text)
        except ValueError:
            logger.exception("It broke", extra=logs.fields(symbol="SPY"))

    return act


def test_a_line_has_time_level_sentence_and_fields():
    (line,) = lines(
        lambda log: log.info("Stream is live", extra=logs.fields(symbols=8, feed="opra", why="a b", n=None))
    )
    assert re.fullmatch(r'\d{4}-\d\d-\d\d \d\d:\d\d:\d\d info    Stream is live symbols=8 feed=opra why="a b"', line)


@pytest.mark.parametrize("format", ["text", "json"])
def test_a_process_that_shares_the_log_with_others_names_itself_first_in_each_event(format):  # noqa: A002
    stream = io.StringIO()
    logs.configure("info", format, secrets=[], environ={}, process="worker-2", stream=stream)
    logging.getLogger("condord.test").info("Serving", extra=logs.fields(version="1"))
    logging.getLogger("condord.test").info("Stopped")
    first, second = stream.getvalue().splitlines()
    if format == "text":
        assert first.endswith(" Serving process=worker-2 version=1")
        assert second.endswith(" Stopped process=worker-2")
    else:
        assert list(json.loads(first)["fields"].items()) == [("process", "worker-2"), ("version", "1")]
        assert json.loads(second)["fields"] == {"process": "worker-2"}


@pytest.mark.parametrize(
    ("level", "colour"), [("debug", "2"), ("info", None), ("warning", "33"), ("error", "31"), ("critical", "31")]
)
def test_levels_are_coloured_on_a_terminal_unless_no_color_is_set(level, colour):
    def shown(**environ):
        stream = Terminal()
        logs.configure("debug", "text", secrets=[], environ=environ, stream=stream)
        getattr(logging.getLogger("condord.test"), level)("A")
        return stream.getvalue()[len("2026-11-22 09:00:00 ") :]

    plain = f"{level:<7} A\n"
    assert shown() == (f"\x1b[{colour}m{level:<7}\x1b[0m A\n" if colour else plain)
    assert shown(NO_COLOR="") == shown()
    assert shown(NO_COLOR="1") == plain


def test_an_entry_of_the_journal_has_the_line_and_every_field(service):
    def act(log):
        log.warning(
            "Stream is %s",
            "stale",
            extra=logs.fields(
                code="silent", n=8, ok=False, none=None, legs=["A B", 1, None], empty=[], **{"a b": "x\ny"}
            ),
        )

    assert service.entries(act) == [
        {
            "MESSAGE": [b'Stream is stale code=silent n=8 ok=false legs=["A B",1,null] empty=[] a b="x\\ny"'],
            "PRIORITY": [b"4"],
            "SYSLOG_IDENTIFIER": [b"condord"],
            "CONDORD_LOGGER": [b"condord.test"],
            "CONDORD_EVENT": [b"Stream is stale"],
            "CONDORD_CODE": [b"silent"],
            "CONDORD_N": [b"8"],
            "CONDORD_OK": [b"false"],
            "CONDORD_LEGS": [b"A B", b"1"],
            "CONDORD_A_B": [b"x\ny"],
        }
    ]
    assert service.stderr_text == ""


LEVELS = [("debug", 7), ("info", 6), ("warning", 4), ("error", 3), ("critical", 2)]


@pytest.mark.parametrize(("level", "priority"), LEVELS)
def test_an_entry_has_the_priority_of_its_level(level, priority, service):
    (entry,) = service.entries(lambda log: getattr(log, level)("A"), level="debug")
    assert entry["PRIORITY"] == [str(priority).encode()]


@pytest.mark.parametrize(("level", "priority"), LEVELS)
def test_an_event_that_journald_does_not_take_goes_to_stderr_with_its_priority(level, priority, service):
    service.journald.__exit__()
    service.log(lambda log: getattr(log, level)("A", extra=logs.fields(n=8)), level="debug")
    assert service.stderr_text == f"<{priority}>A n=8\n"


def test_values_beyond_the_limit_of_an_entry_are_only_in_its_message(service):
    (entry,) = service.entries(lambda log: log.info("A", extra=logs.fields(many=list(range(2000)))))
    assert len(entry["CONDORD_MANY"]) == 100
    assert b",1999]" in entry["MESSAGE"][0]


def test_json_lines_go_to_stderr_under_systemd_too(service):
    assert service.entries(lambda log: log.info("A"), format="json") == []
    assert json.loads(service.stderr_text)["event"] == "A"


def test_a_service_with_another_stderr_writes_lines_with_time():
    (line,) = lines(lambda log: log.info("A"), environ={"JOURNAL_STREAM": "8:1"})
    assert re.fullmatch(r"[-0-9]{10} [:0-9]{8} info    A", line)


def test_configuring_again_closes_the_socket(service):
    service.entries(lambda log: None)
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert len(service.entries(lambda log: log.info("once"))) == 1
    assert len(list(Path("/proc/self/fd").iterdir())) == before


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


def test_values_that_json_does_not_have_are_written_as_text():
    found = event(lambda log: log.info("x", extra=logs.fields(nan=float("nan"), path=io, big=10**5000)))["fields"]
    assert found["nan"] == "nan"
    assert "module" in found["path"]
    assert found["big"] == "(int)"


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_events_below_the_level_are_not_written(level):
    def act(log):
        for name in ("debug", "info", "warning", "error"):
            getattr(log, name)(name)

    names = ["debug", "info", "warning", "error"]
    assert [line.split()[-1] for line in lines(act, level=level)] == names[names.index(level) :]


@pytest.mark.parametrize("name", QUIET)
def test_libraries_that_print_secrets_never_log_below_info(name):
    def act(_):
        logging.getLogger(name).setLevel(logging.DEBUG)  # as a library may do
        logging.getLogger(name).debug("hush")
        logging.getLogger(name).info("heard")

    assert len(lines(act, level="debug")) == 1
    assert lines(act, level="warning", format="json")[0].count("heard") == 1
    logs.configure("error", "text", secrets=[], environ={}, stream=io.StringIO())
    assert not logging.getLogger(name).isEnabledFor(logging.WARNING) or logging.getLogger(name).level == logging.DEBUG


@pytest.mark.parametrize("format", ["text", "json"])
def test_configuring_again_replaces_the_old_output(format):  # noqa: A002
    first, second = io.StringIO(), io.StringIO()
    before = len(logging.getLogger().handlers)
    logs.configure("error", format, secrets=[], environ={}, stream=first)
    logs.configure("debug", format, secrets=[], environ={}, stream=second)
    assert len(logging.getLogger().handlers) == before + 1
    logging.getLogger("condord.test").debug("once")
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1


@pytest.mark.parametrize("format", ["text", "json"])
def test_an_exception_gives_two_fields_and_no_traceback(format):  # noqa: A002
    (line,) = lines(fail("too\nbad"), format=format)
    assert "Traceback" not in line
    assert "ValueError: too" in line
    assert "test_logs.py:" in line


def test_at_level_debug_the_traceback_is_indented_below_the_event():
    head, *rest = lines(fail("too\nbad"), level="debug")
    assert "It broke" in head
    assert "Traceback" in rest[0]
    assert all(line.startswith("    ") for line in rest)
    assert "Traceback" in event(fail("too"), level="debug")["fields"]["traceback"]


def test_at_level_debug_the_journal_has_the_traceback_below_the_message(service):
    (entry,) = service.entries(fail("too\nbad"), level="debug")
    head, *rest = entry["MESSAGE"][0].decode().split("\n")
    assert head.startswith('It broke symbol=SPY error="ValueError: too')
    assert "Traceback" in rest[0]
    assert all(line.startswith("    ") for line in rest)
    assert b"ValueError: too\nbad" in entry["CONDORD_ERROR"]
    service.journald.__exit__()
    service.log(fail("too\nbad"), level="debug")
    assert all(line.startswith("<3>") for line in service.stderr_text.splitlines())


SIGNS = st.text(max_size=30)


@settings(deadline=None)  # the machine may be busy
@given(text=SIGNS, format=st.sampled_from(["text", "json"]))
def test_any_event_is_one_line(text, format):  # noqa: A002
    found = lines(log_everywhere(text), format=format)
    assert len(found) == 2
    assert all(line.isprintable() for line in found)


def log_everywhere(text):
    def act(log):
        log.error(text, extra=logs.fields(of=text, many=[text], **{text: 1}))
        log.error("%s", text)

    return act


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])  # each example reads all entries
@given(text=SIGNS)
def test_any_event_is_one_entry_of_one_line(text, service):
    found = service.entries(log_everywhere(text))
    assert len(found) == 2
    assert all(entry["MESSAGE"][0].decode().isprintable() for entry in found)


words = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=8, max_size=40)


def leak(secret, other):
    """Log two secrets in every possible position."""
    basic = base64.b64encode(f"{other}:{secret}".encode())
    url = f"https://{quote(other, safe='')}:{quote(secret, safe='')}@x/?t={secret}&u={quote(quote(secret, safe=''))}"
    values = {
        "plain": secret,
        "bytes": secret.encode(),
        "array": bytearray(secret.encode()),
        "list": [1, [secret, (other, secret.encode())]],
        "mapping": {"k": secret, secret: {"deep": [other.encode()]}},
        "url": url,
        "basic": f"Basic {basic.decode()}",
        "header": {"Authorization": b"Basic " + basic},
        "safe": base64.urlsafe_b64encode(f"x{secret}".encode()),
        "json": json.dumps(json.dumps({"key": secret})),
        "hidden": Secret(secret),
        f"key {secret}": 1,
    }

    def act(log):
        log.info(secret)
        log.info("A %s of %r %s", f"b{secret}c", secret, secret.encode())
        log.info("A %s%s", secret[:4], secret[4:])
        log.info("A %d", secret)  # the argument does not fit the sentence
        log.info("A", extra=logs.fields(**values))
        try:
            try:
                raise ValueError(secret, url, basic)
            except ValueError as error:
                error.add_note(f"a note of {secret}")
                raise KeyError({secret: other}) from error
        except KeyError:
            log.exception("It broke", extra=logs.fields(why=secret))
        try:
            raise ExceptionGroup(secret, [OSError(5, secret), ConnectionError(other.encode())])
        except ExceptionGroup:
            log.exception("They broke")
        logging.getLogger(f"condord.{secret}").warning("A")

    return act


def spellings(secret, other):
    """The ways in which `leak` may write a secret."""
    yield from (secret, quote(secret, safe=""), quote(quote(secret, safe="")), repr(secret)[1:-1])
    yield from (once := json.dumps(secret)[1:-1], json.dumps(once)[1:-1], repr(once)[1:-1], repr(repr(secret))[1:-1])
    for before in (f"{other}:", "x"):
        whole = base64.urlsafe_b64encode(f"{before}{secret}".encode()).decode()
        yield (piece := whole[4 * len(before) // 3 + 3 : -5])
        yield piece.translate(str.maketrans("-_", "+/"))


def assert_hidden(text, secret, other):
    for form in spellings(secret, other):
        assert form not in text


def log_without_secrets(act):
    """Everything that the log contains without secrets; a key that happens to be part of that is not leaked."""
    return written(act, level="debug", format="json") + "PRIORITY SYSLOG_IDENTIFIER CONDORD_LOGGER CONDORD_EVENT"


WITHOUT_SECRETS = []


def are_findable(secret, other):
    if not WITHOUT_SECRETS:
        WITHOUT_SECRETS.append(log_without_secrets(leak("~SECRET~OF~OURS~", "~ANOTHER~")))
    return "***" not in secret + other and secret not in WITHOUT_SECRETS[0] and other not in WITHOUT_SECRETS[0]


@pytest.mark.slow
@settings(deadline=None)  # the machine may be busy
@given(secret=words, other=words, level=st.sampled_from(["info", "debug"]), format=st.sampled_from(["text", "json"]))
def test_a_secret_is_never_written(secret, other, level, format):  # noqa: A002
    assume(are_findable(secret, other))
    text = written(leak(secret, other), level, format, [secret, other])
    assert_hidden(text, secret, other)
    assert_hidden(text, other, secret)
    if format == "json":
        assert len([json.loads(line) for line in text.splitlines()]) == 8


@pytest.mark.slow
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])  # each example reads all entries
@given(secret=words, other=words, level=st.sampled_from(["info", "debug"]))
def test_a_secret_is_in_no_entry_of_the_journal(secret, other, level, service):
    assume(are_findable(secret, other))
    entries = service.entries(leak(secret, other), level, secrets=[secret, other])
    assert len(entries) == 8
    for entry in entries:
        text = " ".join(f"{name} {value.decode()}" for name, values in entry.items() for value in values)
        assert_hidden(text, secret, other)
        assert_hidden(text, other, secret)


def test_a_secret_made_of_digits_is_not_written_as_a_number():
    assert event(lambda log: log.info("x", extra=logs.fields(n=12345678)), secrets=["345678"])["fields"] == {
        "n": "12***"
    }


def test_an_empty_secret_masks_nothing():
    assert "quiet" in written(lambda log: log.info("quiet"), secrets=[""])


def test_a_sentence_with_wrong_arguments_is_still_written():
    assert "%d symbols" in written(lambda log: log.info("%d symbols", "no"))


def test_a_value_with_a_broken_str_does_not_drop_the_event():
    class Mute:
        def __str__(self):
            raise RuntimeError

    assert "of=(Mute)" in written(lambda log: log.info("A", extra=logs.fields(of=Mute()))).replace('"', "")


def test_fields_that_are_not_a_mapping_are_left_out():
    (line,) = lines(lambda log: log.info("A", extra={"fields": 3}))
    assert line.endswith("info    A")


def test_an_event_that_cannot_be_written_is_dropped_silently(capsys):
    stream = io.StringIO()
    logs.configure("info", "text", secrets=[], environ={}, stream=stream)
    stream.close()
    logging.getLogger("condord.test").info("A")
    assert capsys.readouterr() == ("", "")


def test_without_a_stream_the_log_goes_to_stderr(capsys):
    logs.configure("info", "text", secrets=[], environ={})
    logging.getLogger("condord.test").info("heard")
    assert "heard" in capsys.readouterr().err
