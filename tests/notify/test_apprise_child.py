"""The program that runs Apprise, with a package of that name that records what it is asked to do."""

import importlib.util
import json
import subprocess
import sys
import textwrap

import pytest

from condord.notify.apprise_process import COMMAND
from tests import needs
from tests.notify.builders import Receiver

FAKE = """
import json, logging, os, pathlib

class Apprise:
    def add(self, url):
        self.url = url
        return not url.startswith("unknown:")

    def notify(self, **given):
        environ = dict(os.environ)
        pathlib.Path(__file__).with_name("asked.json").write_text(json.dumps([self.url, given, environ]))
        if self.url.startswith("hang:"):
            __import__("time").sleep(60)
        if self.url.startswith("fork:"):
            __import__("subprocess").Popen(["sleep", "60"])
        if self.url.startswith("flood:"):
            os.write(1, b"x" * 100_000)
        if self.url.startswith("die:"):
            os._exit(3)
        if self.url.startswith("big:"):
            bytearray(2 << 30)
        if self.url.startswith("fail:"):
            logging.getLogger("apprise").warning("Failed to send to %s: Unauthorized, error=401.", self.url)
        return not self.url.startswith("fail:")
"""


def faked(directory):
    """The command of the child with a fake package `apprise` in `directory`."""
    (directory / "apprise.py").write_text(FAKE)
    program = f"import runpy, sys; sys.path.insert(0, {str(directory)!r}); runpy.run_path({COMMAND[-1]!r}, run_name='__main__')"
    return (sys.executable, "-I", "-c", textwrap.dedent(program))


def run(command, url):
    request = json.dumps({"url": url, "title": "title", "body": "a\nb", "type": "warning"}).encode()
    return subprocess.run(command, input=request, capture_output=True, env={}, timeout=60)


@pytest.mark.parametrize(
    ("url", "outcome", "status"),
    [("good://token", "sent", None), ("fail://token", "failed", 401), ("unknown://token", "badUrl", None)],
)
def test_the_outcome_is_one_line_of_json_and_nothing_names_the_url(tmp_path, url, outcome, status):
    result = run(faked(tmp_path), url)
    assert json.loads(result.stdout) == {"outcome": outcome, "status": status}
    assert result.stdout.count(b"\n") == 1
    assert b"token" not in result.stdout + result.stderr


def test_apprise_gets_the_text_and_its_type(tmp_path):
    run(faked(tmp_path), "good://token")
    url, arguments, _ = json.loads((tmp_path / "asked.json").read_text())
    assert url == "good://token"
    assert arguments == {"title": "title", "body": "a\nb", "notify_type": "warning", "body_format": "text"}


def test_the_memory_of_the_child_is_bounded(tmp_path):
    result = run(faked(tmp_path), "big://token")
    assert result.returncode != 0
    assert b"MemoryError" in result.stderr


def test_without_apprise_the_child_reports_that(tmp_path):
    command = faked(tmp_path)
    (tmp_path / "apprise.py").write_text("raise ImportError")
    assert json.loads(run(command, "good://token").stdout)["outcome"] == "notInstalled"


@pytest.mark.slow
def test_the_real_apprise_takes_a_message():
    if importlib.util.find_spec("apprise") is None:
        needs.lacking("apprise")
    with Receiver() as receiver:
        url = receiver.url.replace("http://", "json://")
        assert json.loads(run(COMMAND, url).stdout) == {"outcome": "sent", "status": None}
        ((_, _, body),) = receiver.got
        assert (json.loads(body)["title"], json.loads(body)["message"]) == ("title", "a\nb")
        receiver.statuses = [503]
        assert json.loads(run(COMMAND, url).stdout) == {"outcome": "failed", "status": 503}
