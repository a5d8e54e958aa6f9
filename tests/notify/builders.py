"""Records, transitions and channels for tests, and a receiver of webhooks."""

import datetime as dt
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import msgspec

from condord.host.secret import Secret
from condord.live.alert_records import AlertRecord, Transition
from condord.live.wire_alerts import AlertJson
from condord.notify.channel import Channel, ChannelState
from condord.notify.outcome import Outcome

NOW_AT = dt.datetime(2026, 11, 20, 15, 31, tzinfo=dt.UTC)
END_AT = dt.datetime(2026, 11, 20, 21, 0, tzinfo=dt.UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
SENT = Outcome(ok=True, status=200, text="HTTP 200 OK")
DOWN = Outcome(ok=False, status=503, text="HTTP 503 Service Unavailable", is_down=True)
REFUSED = Outcome(ok=False, status=400, text="HTTP 400 Bad Request")
GONE = Outcome(ok=False, status=410, text="HTTP 410 Gone", is_gone=True, is_down=True)


def after(seconds):
    return NOW_AT + dt.timedelta(seconds=seconds)


def record(name="half", underlying="SPY", **overrides):
    condor = f"{underlying}-261218-560-570-630-640"
    values = {
        "id": f"{name}:{condor}",
        "rule": name,
        "definition": "d",
        "condor_id": condor,
        "underlying": underlying,
        "opened_at": NOW_AT - dt.timedelta(days=3),
        "state": "firing",
        "severity": "warning",
        "basis": "mark",
        "since": NOW_AT,
        "as_of": NOW_AT,
        "value": 51.2,
        "threshold": 50.0,
        "text": f"{name}: {underlying} 560/570/630/640 Dec 18 has made 51 % of its maximum profit.",
        "serial": 1,
    }
    return AlertRecord(**{**values, **overrides})


def transition(kind="firing", name="half", notify=None, **overrides):
    states = {"repeat": "firing"}
    if kind in ("resolved", "ended"):
        overrides.setdefault("until", NOW_AT)
    return Transition(kind=kind, record=record(name, state=states.get(kind, kind), **overrides), notify=notify)


class FakeChanges(msgspec.Struct, frozen=True, kw_only=True):
    """Has the fields of `condord.live.alerts.AlertChanges`."""

    transitions: tuple[Transition, ...] = ()
    records: tuple[AlertRecord, ...] = ()


def changes(*transitions):
    return FakeChanges(transitions=transitions, records=tuple(each.record for each in transitions))


def document(of):
    fields = {name: getattr(of, name) for name in AlertJson.__struct_fields__ if name != "state"}
    return AlertJson(**fields, state=of.state)


def documents(changed):
    return [document(each.record) for each in changed.transitions]


def channel(name="hook", kind="webhook", url="https://hooks.example/path-secret", **overrides):
    return Channel(name=name, type=kind, url=Secret(url), **overrides)


def channel_state(name="hook", **overrides):
    values = {"last_delivery_at": NOW_AT, "last_error": "HTTP 503 Service Unavailable"}
    return ChannelState(name=name, **{**values, **overrides})


class Receiver:
    """A server that keeps the webhooks it gets, and answers `statuses` in turn, then 204."""

    def __init__(self):
        self.got = []
        self.statuses = []
        self.headers = {}
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append((self.path, dict(self.headers), body))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 204)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/path-secret"

    def __enter__(self):
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
