import re

import pytest

from condord.config.account_name import account_digest, account_name, lease_digest, require_account
from condord.config.schema import Alpaca, Cluster, Config
from condord.errors import ConfigError, CredentialsMissing
from tests.fakes import startup


def name(key_id="PKTEST", account="", **alpaca):
    key = startup.key(key_id)
    return account_name(Config(alpaca=Alpaca(**alpaca), cluster=Cluster(account=account)), key)


def test_the_name_of_an_account_is_the_configured_one_or_a_digest_of_its_key_and_environment():
    assert name(account="desk") == "desk"
    assert re.fullmatch("[0-9a-f]{12}", name())
    assert name() == name()
    names = [name(), name("PKOTHER"), name(paper=False), name(trading_url="http://127.0.0.1:1")]
    assert len(set(names)) == 4
    assert not [each for each in names if "PK" in each]


def test_another_account_or_bus_means_another_lease():
    def mark(bus, account="desk"):
        return lease_digest(Config(cluster=Cluster(bus=bus, account=account)), startup.key("PKTEST"))

    assert mark("nats://a,nats://b") == mark("nats://b,nats://a")
    assert len({mark("nats://a,nats://b"), mark("nats://a"), mark("nats://a", "other"), mark("nats://a", "")}) == 4


def environ(key_id):
    return {"APCA_API_KEY_ID": key_id, "APCA_API_SECRET_KEY": "secret-for-tests"}


@pytest.mark.parametrize(
    ("account", "alpaca", "key_id", "is_same"),
    [
        ("", {}, "PKTEST", True),
        ("", {}, "PKOTHER", False),
        ("", {"paper": False}, "PKTEST", False),
        ("", {"trading_url": "http://127.0.0.1:1"}, "PKTEST", False),
        ("", {"feed": "opra"}, "PKTEST", True),
        ("desk", {}, "PKOTHER", True),
        ("desk", {"paper": False}, "PKTEST", False),
    ],
)
def test_another_url_or_without_a_name_another_key_means_another_account(account, alpaca, key_id, is_same):
    mark = account_digest(Config(cluster=Cluster(account=account)), startup.key("PKTEST"))
    config = Config(alpaca=Alpaca(**alpaca), cluster=Cluster(account=account))
    if is_same:
        require_account(mark, config, environ(key_id))
        return
    with pytest.raises(ConfigError, match="the account of its start") as refused:
        require_account(mark, config, environ(key_id))
    assert "restart every ingester" in refused.value.hint


def test_without_a_key_an_account_cannot_be_compared():
    with pytest.raises(CredentialsMissing):
        require_account("a1b2", Config(), {})
