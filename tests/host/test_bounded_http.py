import math
import time

import pytest
import requests

from condord.host import bounded_http
from condord.host.bounded_http import TooLarge
from tests.fakes.alpaca import NETWORK
from tests.fakes.rest import Answer, HeadDrip, Raw, RestServer

PATH = "/asked"


@pytest.fixture
def server():
    with RestServer() as server:
        yield server


@pytest.fixture
def session():
    with bounded_http.BoundedSession(NETWORK) as session:
        yield session


def ask(server, session, seconds=math.inf, path=PATH):
    """The answer to one request that may take `seconds`."""
    with bounded_http.until(time.monotonic() + seconds):
        return session.get(server.url + path, timeout=30, allow_redirects=False)


def test_an_answer_within_the_bounds_is_read(server, session):
    server.script = {PATH: [Answer(b"whole", headers={"X-Long": "x" * 60_000})]}
    assert ask(server, session, 60.0).text == "whole"


def test_a_head_that_is_too_large_is_refused(server, session):
    lines = b"".join(b"X-%d: %s\r\n" % (number, b"x" * 1_000) for number in range(70))
    server.script = {PATH: [Raw(b"HTTP/1.1 200 OK\r\n" + lines + b"Content-Length: 0\r\n\r\n")]}
    with pytest.raises((TooLarge, requests.ConnectionError), match="in its head"):
        ask(server, session)


def test_interim_answers_count_as_part_of_the_head(server, session):
    server.script = {PATH: [Raw(b"HTTP/1.1 100 Continue\r\n\r\n" * 5_000)]}
    with pytest.raises((TooLarge, requests.ConnectionError), match="in its head"):
        ask(server, session)


def test_the_body_does_not_count_as_part_of_the_head(server, session):
    body = b"x" * (2 * bounded_http.MAX_HEAD_BYTES)
    server.script = {PATH: [Answer(body)]}
    assert ask(server, session).content == body


def test_a_head_that_drips_is_abandoned_at_the_deadline(server, session):
    server.script = {PATH: [HeadDrip()]}
    with pytest.raises(requests.RequestException):
        ask(server, session, 0.2)


def test_a_deadline_holds_only_within_its_block(server, session):
    server.script = {PATH: [Answer(b"whole")]}
    with bounded_http.until(time.monotonic() - 1.0), pytest.raises(requests.RequestException):
        session.get(server.url + PATH, timeout=30)
    assert session.get(server.url + PATH, timeout=30).text == "whole"


def test_cookies_are_neither_kept_nor_sent(server, session):
    server.script = {PATH: [Answer(b"", headers={"Set-Cookie": "a=b; Path=/"})]}
    assert "Set-Cookie" not in ask(server, session).headers
    ask(server, session)
    assert len(session.cookies) == 0
    assert all("Cookie" not in headers for _, _, headers in server.asked)


def test_a_redirect_is_returned_and_not_followed(server, session):
    server.script = {PATH: [Answer(b"", 302, {"Location": "/elsewhere"})]}
    answer = session.get(server.url + PATH, timeout=30)
    assert answer.status_code == 302
    assert [path for path, _, _ in server.asked] == [PATH]


def test_a_password_in_a_netrc_is_not_sent(server, session, tmp_path, monkeypatch):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password hunter2\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    server.script = {PATH: [Answer(b"")]}
    ask(server, session)
    assert "Authorization" not in server.asked[0][2]
