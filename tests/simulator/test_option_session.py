import functools

import pytest

from condord.simulator.entitlements import Entitlements
from condord.simulator.option_session import OptionSession
from tests.simulator.builders import AUTH, NOW, SessionClient, reply

Client = functools.partial(SessionClient, OptionSession)


@pytest.fixture
def client():
    return Client()


def test_an_ack_has_exactly_trades_and_quotes(client):
    assert client.subscribe_to("A") == {"T": "subscription", "trades": [], "quotes": ["A"]}


def test_opra_gets_409_without_the_agreement():
    assert Client(feed="opra").send(AUTH) == 409
    assert Client(feed="opra", entitlements=Entitlements(has_opra=True)).send(AUTH) == "authenticated"


def test_more_symbols_than_the_limit_get_405_and_change_nothing():
    client = Client(entitlements=Entitlements(symbol_limit=2))
    client.subscribe_to("A", "B")
    assert client.send({"action": "subscribe", "quotes": ["C"]}) == 405
    assert client.session.subscriptions == ("A", "B")
    assert client.send({"action": "subscribe", "quotes": ["A"], "trades": ["A"]})["quotes"] == ["A", "B"]


@pytest.mark.parametrize(
    ("message", "code"),
    [({"action": "subscribe", "quotes": ["*"]}, 413), ({"action": "subscribe", "bars": ["A"]}, 410)],
)
def test_a_wildcard_for_quotes_and_bars_are_refused(client, message, code):
    client.send(AUTH)
    assert client.send(message) == code


def test_a_text_frame_gets_412():
    assert reply(Client().session.received('{"action":"auth"}', NOW)) == 412


def test_a_client_without_messagepack_may_log_in_and_gets_412_when_it_subscribes():
    client = Client(is_msgpack=False)
    (greeting,) = client.session.opened(NOW)
    assert greeting.is_text
    assert client.send(AUTH) == "authenticated"
    assert client.send({"action": "subscribe", "quotes": ["A"]}) == 412
