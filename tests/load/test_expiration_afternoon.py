"""A trader's last hour: the scenario `expiration-day` at 60 times real time, with the built-in rules and a webhook."""

import datetime as dt
import json
from collections import Counter
from contextlib import closing

import pytest

from tests.e2e.alerting import ENVIRON, Receiver, alerts, channel
from tests.e2e.recording import NEW_YORK
from tests.e2e.reloading import Files, Reloaded
from tests.e2e.running import Follower, Simulated, closing_program, until
from tests.http.scrape import samples

pytestmark = pytest.mark.slow

SPEED = 60
MAX_SECONDS = 240.0
"""75 minutes at this speed are 75 seconds; a busy machine gets three times that."""
LATE = ((dt.time(15, 55), dt.time(16)), (dt.time(16, 10), dt.time(16, 15)))
"""The last five minutes of trading (five seconds at this speed): SPY's options trade a quarter of an hour longer."""


class WithChannel(Files):
    """A configuration with one webhook that gets everything, and the built-in rules."""

    def __init__(self, folder, simulated, receiver):
        path = folder / "hook-url"
        path.write_text(receiver.url)
        path.chmod(0o600)
        super().__init__(folder, simulated)
        table = f'[[notify]]\nname = "hook"\ntype = "webhook"\nurl_file = "{path}"\nmin_severity = "info"\n'
        self.path.write_text(self.path.read_text() + table)


def test_each_transition_of_the_afternoon_is_one_post_and_all_alerts_of_expired_condors_end(tmp_path):
    with (
        closing(Receiver()) as receiver,
        closing_program(Simulated("--scenario", "expiration-day")) as simulated,
    ):
        files = WithChannel(tmp_path, simulated, receiver)
        environ = {**ENVIRON, "CONDORD_REST_REFRESH_SECONDS": "1", "STATE_DIRECTORY": str(tmp_path / "state")}
        with closing_program(Reloaded(files, **environ)) as condord, closing(Follower(condord.url)) as follower:
            condord.await_state("live")
            condord.await_priced()
            expiring = {condor["id"] for condor in condord.document()["condors"] if condor["daysToExpiration"] == 0}
            assert len(expiring) == 4
            simulated.post("market", speed=SPEED)
            until(lambda: local_time(condord) >= dt.time(16, 20), lambda: local_time(condord), timeout=MAX_SECONDS)
            until(lambda: channel(condord)["waiting"] == 0, lambda: channel(condord))
            events = [json.loads(event.data) for event in follower.events.copy() if event.name == "alert"]
            streamed = Counter((event["id"], event["state"], event["since"]) for event in events)
            posted = Counter((body["data"]["id"], kind, body["data"]["since"]) for kind, body in sent(receiver))
            # At this speed, the last minutes before the end of a session are too short for a webhook.
            expired = samples(condord.get("/metrics")[1])["condord_notifications_total{channel=hook,result=expired}"]
            assert posted <= streamed
            assert (streamed - posted).total() == expired
            assert all(is_late(since) for _, _, since in streamed - posted)
            assert max(posted.values()) == 1
            assert len(receiver.ids) == len(receiver.posts)
            fired = {(event["rule"], event["condorId"]) for event in events if event["state"] == "firing"}
            assert {("expires-today", condor) for condor in expiring} <= fired
            assert {rule for rule, _ in fired} >= {"order-cutoff", "long-put-expiring", "breached", "loss-of-risk"}
            left = [alert for alert in alerts(condord) if alert["condorId"] in expiring and alert["state"] == "firing"]
            assert left == []


def sent(receiver):
    return [(body["type"].rpartition(".")[2], body) for _, body in receiver.posts.copy()]


def local_time(condord):
    return time_of(condord.document()["asOf"])


def time_of(instant):
    return dt.datetime.fromisoformat(instant).astimezone(NEW_YORK).time()


def is_late(instant):
    return any(begin <= time_of(instant) <= end for begin, end in LATE)
