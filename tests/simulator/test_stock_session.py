import functools

import pytest

from condord.simulator.entitlements import Entitlements, FeedSlots
from condord.simulator.stock_session import FEEDS, StockSession
from tests.simulator.builders import AUTH, NOW, SessionClient, reply

Client = functools.partial(SessionClient, StockSession)


@pytest.fixture
def client():
    return Client()


def symbols(count):
    return [f"S{number}" for number in range(count)]


def test_an_ack_lists_every_channel_and_corrections_come_with_trades(client):
    client.send(AUTH)
    ack = client.send({"action": "subscribe", "quotes": ["A"], "trades": ["B"], "dailyBars": ["C"]})
    others = {channel: [] for channel in ("bars", "updatedBars", "statuses", "lulds")}
    assert ack == {
        "T": "subscription", "quotes": ["A"], "trades": ["B"], "dailyBars": ["C"], **others,
        "corrections": ["B"], "cancelErrors": ["B"],
    }  # fmt: skip


def test_only_sip_gets_409_without_the_plan():
    answers = {feed: Client(feed=feed).send(AUTH) for feed in FEEDS}
    assert answers == {"iex": "authenticated", "sip": 409, "delayed_sip": "authenticated"}
    assert Client(feed="sip", entitlements=Entitlements(has_sip=True)).send(AUTH) == "authenticated"


def test_each_feed_has_a_slot_of_its_own():
    slots = FeedSlots()
    assert [Client(feed=feed, slots=slots).send(AUTH) for feed in ("iex", "delayed_sip", "iex")] == [
        "authenticated",
        "authenticated",
        406,
    ]


def test_quotes_and_trades_are_limited_together_and_bars_are_free(client):
    assert len(client.subscribe_to(*symbols(20))["quotes"]) == 20
    trades = {"action": "subscribe", "trades": symbols(11), "bars": symbols(50)}
    assert client.send(trades) == 405
    assert client.session.trade_subscriptions == ()
    assert len(client.send(trades | {"trades": symbols(10)})["trades"]) == 10
    assert client.send({"action": "subscribe", "quotes": ["ONE"]}) == 405


def test_the_paid_plan_has_no_limit_of_symbols():
    client = Client(feed="iex", entitlements=Entitlements(has_sip=True))
    assert len(client.subscribe_to(*symbols(100))["quotes"]) == 100


def test_a_wildcard_needs_the_paid_plan(client):
    assert client.subscribe_to("*") == 405
    paid = Client(entitlements=Entitlements(has_sip=True))
    paid.subscribe_to("*")
    assert [message["S"] for message in paid.offer("A", "B")] == ["A", "B"]


def test_bars_arrive_only_after_a_subscription_to_bars(client):
    client.send(AUTH)
    client.send({"action": "subscribe", "bars": ["A"]})
    assert client.offer("A") is None
    assert [message["S"] for message in client.offer("A", "B", channel="bars")] == ["A"]


def test_a_text_frame_in_a_session_of_messagepack_gets_400(client):
    assert reply(client.session.received('{"action":"auth"}', NOW)) == 400


@pytest.mark.parametrize("channel", ["orderbooks", "news"])
def test_channels_of_other_streams_get_410(client, channel):
    client.send(AUTH)
    assert client.send({"action": "subscribe", channel: ["A"]}) == 410
