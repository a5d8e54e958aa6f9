"""One request, against a fake daemon that gives the answers of the test."""

import socket

import pytest

from condord.client.failures import NothingRead, TemporarilyUnavailable
from condord.client.http import Daemon, decoded
from condord.errors import EXIT_FAILED, EXIT_REFUSED, EXIT_UNAVAILABLE, NotFound, Unavailable
from condord.live import wire
from tests.fakes import documents
from tests.fakes.daemon import json as json_answer
from tests.fakes.daemon import problem, raw, serving, unread


@pytest.fixture
def fake():
    with serving() as daemon:
        yield daemon


def test_positions_and_status_return_the_exact_body(fake):
    assert Daemon(fake.url).positions() == documents.body(documents.document())
    assert decoded(Daemon(fake.url).status(), wire.StatusReport).pid == 4711


def test_a_condor_is_requested_by_its_id(fake):
    one = {"asOf": documents.AS_OF, "condor": documents.condor("A B"), "quotes": []}
    fake.answers["/api/positions/A%20B"] = json_answer(one)
    assert decoded(Daemon(fake.url).condor("A B"), wire.OneCondor).condor.id == "A B"


def test_the_token_is_sent_as_a_header_and_is_in_neither_url_nor_repr(fake):
    daemon = Daemon(fake.url, "a-secret-token")
    daemon.positions()
    path, headers = fake.requests[0]
    assert headers["Authorization"] == "Bearer a-secret-token"
    assert "secret" not in path + repr(daemon)


def test_the_host_of_a_unix_socket_is_localhost(tmp_path):
    with serving(tmp_path / "socket") as fake:
        assert Daemon(fake.url).positions() == documents.body(documents.document())
        assert fake.requests[0][1]["Host"] == "localhost"


def failure(url, ask=Daemon.positions, **options):
    with pytest.raises(Exception) as caught:
        ask(Daemon(url, **options))
    assert caught.value.hint
    assert "\n" not in str(caught.value)
    return caught.value


def test_without_a_daemon_the_error_is_unavailable_and_hints_at_start(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for url in (f"http://127.0.0.1:{port}", f"unix://{tmp_path}/none"):
        error = failure(url)
        assert error.exit_code == EXIT_UNAVAILABLE
        assert url in str(error)
        assert "condord start" in error.hint


def test_a_daemon_that_does_not_answer_times_out(fake):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        error = failure(f"http://127.0.0.1:{mute.getsockname()[1]}", timeout_seconds=0.05)
    assert error.exit_code == EXIT_UNAVAILABLE
    assert "0.05 s" in str(error)


@pytest.mark.parametrize(
    ("answer", "exit_code", "text"),
    [
        (problem(401, "x"), EXIT_REFUSED, "requires a token"),
        (problem(403, "x"), EXIT_REFUSED, "requires a token"),
        (problem(404, "nothing here"), EXIT_UNAVAILABLE, "404: nothing here"),
        (problem(421, "this host is not served"), EXIT_UNAVAILABLE, "421: this host is not served"),
        (problem(503, "1000 subscribers"), EXIT_UNAVAILABLE, "503: 1000 subscribers"),
        ((302, {"Location": "/login"}, b""), EXIT_UNAVAILABLE, "302"),
        ((500, {"Content-Type": "text/html"}, b"<p>oops"), EXIT_UNAVAILABLE, "500"),
        ((200, {"Content-Type": "text/html"}, b"<p>hello"), EXIT_UNAVAILABLE, "text/html"),
        ((200, {"Content-Type": "application/json"}, b"{"), EXIT_UNAVAILABLE, "cannot be understood"),
        ((200, {"Content-Type": "application/json"}, b"[]"), EXIT_UNAVAILABLE, "cannot be understood"),
        ((200, {"Content-Type": "application/json", "Content-Length": "9"}, b"{}"), EXIT_UNAVAILABLE, "ended early"),
    ],
)
def test_any_other_answer_is_an_error_that_names_the_answer(fake, answer, exit_code, text):
    fake.answers["/api/positions"] = answer
    error = failure(fake.url)
    assert error.exit_code == exit_code
    assert text in str(error)


def test_a_wrong_token_is_named_as_the_cause(fake):
    fake.answers["/api/positions"] = problem(401, "x")
    assert "does not accept the token" in str(failure(fake.url, token="wrong"))


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9.2\r\n", b"", b"HTTP/1.1 200"])
def test_a_server_without_http_is_unavailable(answer):
    with raw(answer) as url:
        assert failure(url).exit_code == EXIT_UNAVAILABLE


def test_an_unknown_condor_hints_at_similar_ids(fake):
    error = failure(fake.url, lambda daemon: daemon.condor("spy-261218-560-570-630"))
    assert isinstance(error, NotFound)
    assert error.exit_code == EXIT_FAILED
    assert "SPY-261218-560-570-630-640" in error.hint


def test_a_condor_that_lost_legs_is_not_called_unknown(fake):
    lost = documents.broken(SPY261218P00500000=2)
    fake.answers["/api/positions"] = json_answer(documents.document(broken=[lost]))
    error = failure(fake.url, lambda daemon: daemon.condor(lost["id"]))
    assert isinstance(error, NotFound)
    assert str(error) == f"{lost['id']} has lost legs, so it is not among the condors"
    assert error.hint.startswith(f"`condord positions {lost['id']}` shows what is left of it")
    found = Daemon(fake.url).whole_or_broken(lost["id"])
    assert isinstance(found, wire.Document)
    assert [broken.id for broken in found.broken] == [lost["id"]]


def test_an_unknown_condor_hints_at_a_similar_one_that_is_broken(fake):
    fake.answers["/api/positions"] = json_answer(
        documents.document(condors=[], broken=[documents.broken("QQQ-1-2", A=1)])
    )
    error = failure(fake.url, lambda daemon: daemon.whole_or_broken("QQQ-1-3"))
    assert error.hint == "Similar ids: QQQ-1-2."


def test_a_404_from_another_program_is_unavailable_not_an_unknown_condor(fake):
    fake.answers.clear()
    assert failure(fake.url, lambda daemon: daemon.condor("SPY")).exit_code == EXIT_UNAVAILABLE


def test_alerts_return_the_exact_body(fake):
    assert Daemon(fake.url).alerts() == fake.answers["/api/alerts"][2]


def test_an_alert_is_acknowledged_by_a_post_with_the_token(fake):
    fake.posts["/api/alerts/half%3ASPY%2F1/acknowledge"] = (204, {}, b"")
    Daemon(fake.url, "a-token").acknowledge("half:SPY/1")
    (path, headers), *_ = fake.requests
    assert (path, headers["Authorization"]) == ("/api/alerts/half%3ASPY%2F1/acknowledge", "Bearer a-token")
    assert headers["Content-Length"] == "0"


def test_an_unknown_alert_hints_at_similar_ids(fake):
    error = failure(fake.url, lambda daemon: daemon.acknowledge("BREACHED:spy-261218-560-570-630"))
    assert (type(error), error.hint) == (NotFound, f"Similar ids: {documents.alert()['id']}.")
    assert "alerts --all" in failure(fake.url, lambda daemon: daemon.acknowledge("?")).hint


def test_an_acknowledgement_with_another_answer_fails(fake):
    fake.posts["/api/alerts/-/acknowledge"] = json_answer({})
    assert failure(fake.url, lambda daemon: daemon.acknowledge("")).exit_code == EXIT_UNAVAILABLE


def test_the_answer_of_a_channel_is_the_exact_body(fake):
    answer = {"ok": True, "status": 200, "text": "accepted"}
    fake.posts["/api/channels/phone/test"] = json_answer(answer)
    assert Daemon(fake.url).test_channel("phone") == documents.body(answer)


def test_the_answer_of_a_channel_may_take_longer_than_others(fake):
    with socket.create_server(("127.0.0.1", 0)) as mute, pytest.MonkeyPatch.context() as patched:
        patched.setattr("condord.client.http.DELIVERY_SECONDS", 0.1)
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        error = failure(url, lambda daemon: daemon.test_channel("phone"), timeout_seconds=0.05)
    assert "within 0.1 s" in str(error)
    assert "is suspended (`kill -CONT` continues it)" in error.hint


def test_an_unknown_channel_hints_at_those_that_are_configured(fake):
    error = failure(fake.url, lambda daemon: daemon.test_channel("fax"))
    assert (type(error), error.hint) == (NotFound, "These are: phone.")
    fake.answers["/api/alerts"] = json_answer(documents.alerts(channels=[]))
    assert "[[notify]]" in failure(fake.url, lambda daemon: daemon.test_channel("")).hint


@pytest.mark.parametrize(("headers", "hint"), [({"Retry-After": "7"}, "in 7 s"), ({}, "in a few seconds")])
def test_too_many_requests_are_a_temporary_failure_with_exit_code_1(fake, headers, hint):
    fake.posts["/api/channels/phone/test"] = problem(429, "one in 10 s", **headers)
    error = failure(fake.url, lambda daemon: daemon.test_channel("phone"))
    assert isinstance(error, TemporarilyUnavailable)
    assert error.exit_code == EXIT_FAILED
    assert hint in error.hint


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        ("busLost", "It goes on trying; if it lasts, check that the NATS servers run and can be reached."),
        (None, "It goes on trying; try again in a moment."),
    ],
)
def test_a_server_that_has_read_nothing_yet_is_a_temporary_failure_with_its_details(fake, code, hint):
    fake.answers["/api/status"] = unread(code=code, role="standby")
    error = failure(fake.url, lambda daemon: daemon.status())
    assert isinstance(error, NothingRead)
    assert (error.problem.pid, error.problem.cluster.role, error.problem.uptime) == (4711, "standby", 12.3)
    assert (error.hint, error.retry_after_seconds, error.exit_code) == (hint, 1.0, 69)


def test_history_and_trades_return_the_exact_body(fake):
    daemon = Daemon(fake.url)
    assert daemon.history({}) == fake.answers["/api/history"][2]
    assert daemon.trades({}) == fake.answers["/api/trades"][2]


def test_parameters_are_escaped_and_sent(fake):
    daemon = Daemon(fake.url)
    fake.answers["/api/history?condor=A%26B&points=5"] = fake.answers["/api/history"]
    fake.answers["/api/trades?from=2026-11-20T16%3A30%3A00%2B01%3A00"] = fake.answers["/api/trades"]
    assert daemon.history({"condor": "A&B", "points": "5"}) == fake.answers["/api/history"][2]
    assert daemon.trades({"from": "2026-11-20T16:30:00+01:00"}) == fake.answers["/api/trades"][2]


@pytest.mark.parametrize(
    ("condor_id", "hint"),
    [
        ("SPY-261120-560-570-630", "Similar ids: SPY-261120-560-570-630-640."),
        ("x", "`condord positions` and `condord trades` list the ids."),
    ],
)
def test_a_condor_without_recorded_history_hints_at_similar_ids(fake, condor_id, hint):
    fake.answers[f"/api/history?condor={condor_id}"] = problem(404, "nothing is recorded of a condor with this id")
    with pytest.raises(NotFound) as caught:
        Daemon(fake.url).history({"condor": condor_id})
    assert (str(caught.value), caught.value.hint) == (f"nothing is recorded of a condor {condor_id}", hint)


@pytest.mark.parametrize("parameters", [{}, {"condor": "X"}])
def test_a_daemon_that_records_nothing_is_named_as_the_cause(fake, parameters):
    reason = "nothing is recorded, because history.enabled is false"
    fake.answers["/api/history"] = fake.answers["/api/history?condor=X"] = problem(404, reason)
    with pytest.raises(NotFound) as caught:
        Daemon(fake.url).history(parameters)
    assert str(caught.value) == reason
    assert "history.enabled = true" in caught.value.hint


def test_a_404_for_history_from_another_program_is_unavailable(fake):
    fake.answers["/api/history?condor=X"] = (404, {"Content-Type": "text/html"}, b"<h1>nothing</h1>")
    with pytest.raises(Unavailable) as caught:
        Daemon(fake.url).history({"condor": "X"})
    assert str(caught.value).endswith("answered 404")
    assert caught.value.exit_code == EXIT_UNAVAILABLE


def test_a_database_that_cannot_be_read_is_unavailable_with_the_reason(fake):
    fake.answers["/api/history"] = problem(503, "the database is locked", **{"Retry-After": "10"})
    with pytest.raises(TemporarilyUnavailable, match="the database is locked") as caught:
        Daemon(fake.url).history({})
    assert caught.value.retry_after_seconds == 10
