import pytest

from condord.http import access
from condord.http.connection import EXTENSION


def scope(path="/livez", method="GET", **others):
    return {"type": "http", "path": path, "method": method, **others}


class FakeConnection:
    def __init__(self):
        self.admissions = 0

    def admit(self):
        self.admissions += 1


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/livez", "/readyz", "/healthz"])
def test_a_probe_asks_for_the_state_of_the_process(path, method):
    assert access.is_probe(scope(path, method))


@pytest.mark.parametrize(
    ("path", "method"), [("/livez", "POST"), ("/livez/", "GET"), ("/api/status", "GET"), ("/metrics", "GET")]
)
def test_any_other_request_is_not_a_probe(path, method):
    assert not access.is_probe(scope(path, method))


def test_an_answer_has_every_detail_unless_the_guard_has_marked_the_request():
    plain = scope()
    marked = access.anonymous(plain)
    assert access.is_anonymous(marked)
    assert not access.is_anonymous(plain)
    assert {name: marked[name] for name in plain} == plain


def test_an_admitted_request_keeps_the_place_of_its_connection():
    connection = FakeConnection()
    asked = scope(extensions={EXTENSION: connection})
    assert access.admitted(asked) is asked
    assert connection.admissions == 1


@pytest.mark.parametrize("asked", [scope(), scope(extensions={})], ids=["no extensions", "another server"])
def test_a_request_without_a_connection_of_the_daemon_is_admitted_anyway(asked):
    assert access.admitted(asked) is asked
