import errno
import io
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import typer

from condord.cli import output
from condord.cli.output import (
    Unwritable,
    drain_stderr,
    encoded,
    require_reader,
    try_write_stdout,
    write_stderr,
    write_stdout,
)
from tests.fakes import documents
from tests.fakes.daemon import json, serving


def test_characters_that_an_encoding_lacks_become_ascii():
    assert encoded("— · …", "utf-8") == "— · …".encode()
    assert encoded("— · … é", "ascii") == b"- | ... ?"
    assert encoded("◆ ■ ●", "ascii") == b"! * o"
    assert encoded("▁▂▃▄▅▆▇█", "ascii") == b"_.-~=+*#"
    assert encoded("é —", "latin-1") == b"\xe9 -"
    assert encoded("é ·", "latin-1") == b"\xe9 \xb7"


@pytest.mark.parametrize(
    ("environ", "encoding"),
    [
        ({"LANG": "C.UTF-8"}, "latin-1"),
        ({"LANG": "C"}, "ascii"),
        ({"LC_ALL": "C", "LANG": "C.UTF-8"}, "ascii"),
        ({"LC_ALL": "C.UTF-8", "LANG": "C"}, "latin-1"),
        ({"LANG": "C", "LC_CTYPE": "en_GB.UTF-8"}, "latin-1"),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, "ascii"),
        ({"LANG": "C", "PYTHONUTF8": "1"}, "latin-1"),
        ({"LANG": "C", "PYTHONIOENCODING": "latin-1"}, "latin-1"),
        ({}, "latin-1"),
    ],
)
def test_the_encoding_of_the_file_is_used_except_in_the_c_locale(environ, encoding):
    assert output._encoding(io.TextIOWrapper(io.BytesIO(), encoding="latin-1"), environ) == encoding


def test_a_file_without_an_encoding_gets_utf_8():
    assert output._encoding(io.StringIO(), {}) == "utf-8"


@pytest.mark.parametrize("buffering", [0, -1], ids=["unbuffered", "buffered"])
@pytest.mark.parametrize("is_blocking", [True, False], ids=["blocking", "non-blocking"])
def test_a_pipe_gets_all_however_long_the_data_is(monkeypatch, buffering, is_blocking):
    data = bytes(range(256)) * 2_000
    reader, writer = os.pipe()
    os.set_blocking(writer, is_blocking)
    with ThreadPoolExecutor() as pool, os.fdopen(reader, "rb") as source:
        found = pool.submit(source.read)
        with io.TextIOWrapper(os.fdopen(writer, "wb", buffering), write_through=not buffering) as out:
            monkeypatch.setattr(sys, "stdout", out)
            write_stdout(data)
        assert found.result() == data


class LittleRoom(io.RawIOBase):
    """A file without a buffer that takes 5 bytes at once, and has room for 12."""

    def __init__(self):
        self.taken = b""

    def writable(self):
        return True

    def write(self, data):
        count = min(5, len(data), 12 - len(self.taken))
        if not count:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.taken += bytes(data[:count])
        return count


def test_a_file_that_takes_a_part_only_gets_the_rest_too_or_is_an_error(monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(room := LittleRoom(), write_through=True))
    write_stdout("twelve bytes")
    assert room.taken == b"twelve bytes"
    with pytest.raises(Unwritable, match="No space left on device"):
        write_stdout("!")


@pytest.fixture
def full():
    """A file on a full disk."""
    with Path("/dev/full").open("w") as file:
        yield file


@pytest.fixture
def closed_pipe():
    """A pipe whose reader has closed it."""
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "w") as file:
        yield file


def test_stdout_gets_text_and_bytes_in_order(capsys):
    sys.stdout.write("before ")
    write_stdout("text ")
    write_stdout(b"bytes")
    assert capsys.readouterr().out == "before text bytes"


def test_a_full_stdout_is_an_error_once_and_is_discarded_afterwards(monkeypatch, full):
    monkeypatch.setattr(sys, "stdout", full)
    with pytest.raises(Unwritable, match="No space left on device") as caught:
        write_stdout("text")
    assert caught.value.exit_code == 1
    full.flush()  # as the interpreter does at exit


def test_a_stdout_whose_reader_has_gone_ends_the_command_with_0(monkeypatch, closed_pipe):
    monkeypatch.setattr(sys, "stdout", closed_pipe)
    with pytest.raises(typer.Exit) as caught:
        write_stdout("text")
    assert caught.value.exit_code == 0
    closed_pipe.flush()


def test_a_command_without_anything_to_write_ends_when_the_reader_has_gone(monkeypatch, closed_pipe, capsys):
    require_reader()  # not a file
    monkeypatch.setattr(sys, "stdout", closed_pipe)
    with pytest.raises(typer.Exit) as caught:
        require_reader()
    assert caught.value.exit_code == 0
    closed_pipe.write("text")
    closed_pipe.flush()  # is discarded


def test_a_file_or_a_pipe_with_a_reader_does_not_end_the_command(monkeypatch, full):
    read_end, write_end = os.pipe()
    with os.fdopen(read_end), os.fdopen(write_end, "w") as pipe:
        for stdout in (pipe, full, None):
            monkeypatch.setattr(sys, "stdout", stdout)
            require_reader()


def test_without_a_stdout_nothing_can_be_written(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(Unwritable, match="Bad file descriptor"):
        write_stdout("text")


@pytest.mark.parametrize("name", ["full", "closed_pipe"])
def test_a_stdout_that_cannot_be_written_is_no_error_for_optional_output(monkeypatch, request, name):
    monkeypatch.setattr(sys, "stdout", request.getfixturevalue(name))
    try_write_stdout("text")
    monkeypatch.setattr(sys, "stdout", None)
    try_write_stdout("text")


def test_stderr_gets_a_line_with_characters_of_its_encoding(capsys, monkeypatch):
    write_stderr("a — b")
    monkeypatch.setenv("LANG", "C")
    write_stderr("a — b")
    assert capsys.readouterr().err.splitlines() == ["a — b", "a - b"]


@pytest.mark.parametrize("name", ["full", "closed_pipe"])
def test_a_stderr_that_cannot_be_written_is_not_an_error_and_is_discarded_at_the_end(monkeypatch, request, name):
    file = request.getfixturevalue(name)
    monkeypatch.setattr(sys, "stderr", file)
    write_stderr("text")
    file.write("still buffered")
    drain_stderr()
    file.flush()


def test_without_a_stderr_nothing_is_written_and_nothing_fails(monkeypatch):
    monkeypatch.setattr(sys, "stderr", None)
    write_stderr("text")
    drain_stderr()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("environ", "sign"),
    [
        ({"LANG": "C.UTF-8"}, "—"),
        ({"LC_ALL": "C"}, "-"),
        ({"LC_ALL": "POSIX", "LANG": "C.UTF-8"}, "-"),
        ({"LANG": "C"}, "-"),
        ({"LANG": "C", "LC_CTYPE": "C.utf8"}, "—"),
        ({"LANG": "C", "PYTHONIOENCODING": "utf-8"}, "—"),
        ({"LANG": "C.UTF-8", "PYTHONIOENCODING": "latin-1"}, "-"),
        ({}, "—"),
    ],
)
def test_the_dash_depends_on_the_locale(environ, sign):
    value = documents.valuation(mark=None, natural=None)
    with serving() as fake:
        fake.answers["/api/positions"] = json(documents.document(condors=[documents.condor(valuation=value)]))
        done = subprocess.run(
            [sys.executable, "-m", "condord", "positions", "--url", fake.url],
            capture_output=True, timeout=120, env={"PATH": os.environ["PATH"], **environ},
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    row = done.stdout.decode().splitlines()[1]
    assert re.search(rf"2\.1 % +{sign} +{sign}  ", row)
