import json
import os
import sys
import threading
import time
from pathlib import Path

import pytest

from condord.notify.apprise_process import AppriseProcesses
from condord.notify.messages import Note
from tests.notify.builders import channel
from tests.notify.test_apprise_child import faked

NOTE = Note(title="condord SPY: warning", body="a sentence", type="warning")
ENVIRON = {
    "PATH": os.defpath,
    "LANG": "C.UTF-8",
    "APCA_API_SECRET_KEY": "secret",
    "HOME": "/root",
    "SSL_CERT_FILE": "/x",
}


def send(processes, url="good://token", note=NOTE):
    return processes.send(channel("phone", "apprise", url=url), note)


@pytest.fixture
def processes(tmp_path):
    return AppriseProcesses(ENVIRON, command=faked(tmp_path))


def test_a_message_is_sent_without_the_environment_of_the_daemon(processes, tmp_path):
    outcome = send(processes, "good://token\n")
    assert (outcome.ok, outcome.text) == (True, "Apprise sent it.")
    url, arguments, environ = json.loads((tmp_path / "asked.json").read_text())
    assert (url, arguments["body"]) == ("good://token", "a sentence")
    assert {"PATH", "LANG", "SSL_CERT_FILE"} <= environ.keys()
    assert not {"APCA_API_SECRET_KEY", "HOME"} & environ.keys()


@pytest.mark.parametrize(
    ("url", "status", "text"),
    [
        ("fail://token", 401, "Apprise could not send it. The service answered HTTP 401 Unauthorized."),
        ("unknown://token", None, "Apprise does not know this kind of URL."),
        ("die://token", None, "Apprise ended without an outcome."),
        ("flood://token", None, "Apprise ended without an outcome."),
    ],
)
def test_each_failure_has_a_sentence_without_the_url(processes, url, status, text):
    outcome = send(processes, url)
    assert (outcome.ok, outcome.status, outcome.text) == (False, status, text)


def test_a_child_that_does_not_end_is_killed_with_its_group(tmp_path):
    program = f"import subprocess, time; print(subprocess.Popen(['sleep', '60']).pid, file=open({str(tmp_path / 'pid')!r}, 'w'), flush=True); time.sleep(60)"
    processes = AppriseProcesses(ENVIRON, command=(sys.executable, "-I", "-c", program), deadline_seconds=1.0)
    outcome = send(processes)
    assert (outcome.ok, outcome.is_down) == (False, True)
    assert "within" in outcome.text
    gone_within(60.0, int((tmp_path / "pid").read_text()))


def gone_within(seconds, pid):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except FileNotFoundError:
            return
        time.sleep(0.01)
    raise AssertionError(f"{pid} still runs")


def test_processes_that_a_child_leaves_behind_do_not_delay_the_outcome(processes):
    began = time.monotonic()
    assert send(processes, "fork://token").ok
    assert time.monotonic() - began < 20


def test_stop_kills_running_children_and_starts_no_others(tmp_path):
    processes = AppriseProcesses(ENVIRON, command=faked(tmp_path))
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(send(processes, "hang://token")))
    thread.start()
    deadline = time.monotonic() + 60
    while not (tmp_path / "asked.json").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    processes.stop()
    thread.join(60)
    assert [outcome.text for outcome in outcomes] == ["Apprise was stopped."]
    assert send(processes).text == "Apprise was stopped."


def test_a_program_that_is_missing_is_a_failure():
    assert send(AppriseProcesses({}, command=("/nowhere/python",))).text == "Apprise cannot be started."


def test_a_child_that_does_not_read_or_prints_something_else_has_no_outcome():
    for program in ("import os; os.close(0); print('{}')", "print('[')", 'print(\'{"outcome": "other"}\')'):
        processes = AppriseProcesses(ENVIRON, command=(sys.executable, "-I", "-c", program))
        note = Note(title="t", body="x" * 300_000, type="info")
        assert send(processes, note=note).text == "Apprise ended without an outcome."
