import json
from types import SimpleNamespace

from condord.http.answer import daemon_of, json_answer
from condord.live import wire


def test_a_struct_is_sent_as_json_that_must_be_revalidated():
    answer = json_answer(wire.Bye(reason="the daemon is stopping"))
    assert answer.status_code == 200
    assert json.loads(answer.body) == {"reason": "the daemon is stopping"}
    assert (answer.headers["content-type"], answer.headers["cache-control"]) == ("application/json", "no-cache")


def test_the_status_and_headers_can_be_set():
    answer = json_answer(wire.Bye(reason=""), 201, {"Cache-Control": "no-store", "ETag": '"a"'})
    assert answer.status_code == 201
    assert (answer.headers["cache-control"], answer.headers["etag"]) == ("no-store", '"a"')


def test_the_daemon_of_a_request_comes_from_its_application():
    daemon = object()
    request = SimpleNamespace(app=SimpleNamespace(state=SimpleNamespace(daemon=daemon)))
    assert daemon_of(request) is daemon
