import datetime as dt
import os

from condord.notify.messages import Note, WebhookRequest
from condord.notify.senders import RealSenders
from tests.notify.builders import NOW_AT, Receiver, channel
from tests.notify.test_webhook import Direct


def senders():
    return RealSenders(Direct(), {"PATH": os.defpath}, machine_at=lambda: NOW_AT)


def test_a_webhook_has_the_time_of_the_machine():
    with Receiver() as receiver:
        assert senders().webhook(channel(url=receiver.url), WebhookRequest(id="msg_1", body=b"{}")).ok
        ((_, headers, _),) = receiver.got
    assert dt.datetime.fromtimestamp(int(headers["webhook-timestamp"]), dt.UTC) == NOW_AT


def test_after_stop_no_child_is_started():
    stopped = senders()
    stopped.stop()
    outcome = stopped.apprise(channel("phone", "apprise", url="x://"), Note(title="", body="", type="info"))
    assert outcome.text == "Apprise was stopped."
