import asyncio

import pytest

from condord.check import bus
from condord.check.bus import checked
from condord.cluster.kv import KvBucket
from condord.cluster.lease import LEASES as LEASES_BUCKET
from condord.cluster.nats_client import BusLogin
from condord.config.bus_credentials import BusCredentials
from condord.config.schema import Cluster
from condord.host.secret import Secret
from tests.cluster.leases import ReadyLease
from tests.cluster.nats_server import nats_server, permitting, running
from tests.cluster.test_nats_client import certificates

__all__ = ["certificates", "nats_server"]


def check(server, *accounts, account="", credentials=None, environ=None, url=None, role="relay"):
    """The check of a relay, or of another role, while these accounts have a leader."""

    async def scenario():
        cluster = Cluster(role=role, bus=url or server.url, account=account)
        if not accounts:
            return await bus.checked(cluster, credentials, environ or {}, account)
        own = server.bus(login=ADMIN)
        async with running(own):
            for each in accounts:
                await ReadyLease(own, each).acquire("host:4711")
            return await bus.checked(cluster, credentials, environ or {}, account)

    return asyncio.run(scenario())


def test_a_bus_with_a_leader_is_ok(nats_server):
    found = check(nats_server(), "paper")
    assert (found.result, found.name) == ("ok", "bus")
    assert "account paper, led by host:4711" in found.text


ADMIN = BusLogin(kind="password", secret=Secret("admin:p"))
INBOX = "_INBOX.>"
LEASES = ["$JS.API.STREAM.INFO.KV_condord-leases", "$JS.API.STREAM.MSG.GET.KV_condord-leases"]


@pytest.mark.parametrize(
    ("role", "publish", "subscribe", "what"),
    [
        ("ingest", LEASES, [">"], "publish to condord.paper.frames"),
        ("ingest", [*LEASES, "condord.*.frames"], [INBOX, "condord.*.resume"], "subscribe to condord.paper.ask"),
        ("ingest", [*LEASES, "condord.>"], [">"], "publish to $KV.condord-leases.paper"),
        ("ingest", [*LEASES, "condord.>", "$KV.condord-leases.>"], [">"], "publish to $KV.condord.paper.state."),
        ("relay", [*LEASES, "condord.*.ask"], [">"], "publish to condord.paper.resume"),
        ("relay", [*LEASES, "condord.*.ask", "condord.*.resume"], [INBOX], "subscribe to condord.paper.frames"),
        ("relay", ["x"], [">"], "publish to $JS.API.STREAM.INFO.KV_condord-leases"),
    ],
)
@pytest.mark.parametrize("account", ["", "paper"])
def test_a_permission_that_the_role_needs_and_the_bus_denies_fails_with_the_remedy(
    nats_server, tmp_path, role, account, publish, subscribe, what
):
    admin = '{ user: admin, password: p, permissions: { publish: ">" } }'
    server = nats_server(permitting(publish, subscribe).replace("users: [", f"users: [{admin}, "))
    credentials = BusCredentials(kind="password", secret=Secret("u:p"), path=tmp_path / "x")
    found = check(server, "paper", account=account, credentials=credentials, role=role)
    assert (found.result, f"forbids this user to {what}" in found.text) == ("fail", True), found
    assert found.hint.startswith("Permit it to this user of the NATS server; docs/examples/nats-server.conf has")


def test_the_permissions_of_an_ingester_are_tried_before_there_is_a_leader(nats_server, tmp_path):
    credentials = BusCredentials(kind="password", secret=Secret("u:p"), path=tmp_path / "x")
    server = nats_server(permitting(LEASES))
    assert "publish to condord.new.frames" in check(server, account="new", credentials=credentials, role="ingest").text


def test_permissions_are_not_reported_as_ok_while_the_account_is_unknown(nats_server):
    found = check(nats_server(), role="ingest")
    assert (found.result, "what it permits is not known" in found.text) == ("warn", True)
    assert found.hint == "Run it with the key of the account, or set cluster.account."


def test_the_check_leaves_the_lease_of_a_leader_as_it_is(nats_server):
    server = nats_server()

    async def scenario():
        bus = server.bus()
        async with running(bus):
            await ReadyLease(bus, "paper").acquire("desk:4711")
            leases = KvBucket(bus, LEASES_BUCKET)
            before = await leases.get("paper")
            cluster = Cluster(role="ingest", bus=server.url, account="paper")
            assert (await checked(cluster, None, {}, "paper")).result == "ok"
            assert await leases.get("paper") == before
            assert await leases.keys() == ["paper"]

    asyncio.run(scenario())


def test_a_server_that_is_too_old_is_a_warning_with_its_version_and_the_required_one(nats_server, monkeypatch):
    server = nats_server()
    assert "(nats-server 2." in check(server, "paper").text
    monkeypatch.setattr("condord.cluster.nats_client.MIN_VERSION", (99, 0))
    found = check(server, "paper")
    assert (found.result, "(nats-server 2." in found.text, "is too old" in found.text) == ("warn", True, True)
    assert found.hint.startswith("Install nats-server ")
    failed = check(nats_server("nojetstream"))
    assert (failed.result, "(nats-server 2." in failed.text) == ("fail", True)
    assert failed.hint == found.hint


def test_a_server_that_is_older_than_recommended_is_ok_and_the_text_says_so(nats_server, monkeypatch):
    server = nats_server()
    monkeypatch.setattr("condord.cluster.nats_client.RECOMMENDED_VERSION", (2, 0))
    assert "older" not in check(server, "paper").text
    monkeypatch.setattr("condord.cluster.nats_client.RECOMMENDED_VERSION", (99, 0))
    found = check(server, "paper")
    assert (found.result, "), which is older than recommended, account paper" in found.text) == ("ok", True)
    assert found.hint == "Install nats-server 2.14 or newer; condord needs at least 2.9."


@pytest.mark.slow
def test_one_of_several_accounts_must_be_named(nats_server):
    found = check(nats_server(), "one", "two")
    assert (found.result, found.exit_code) == ("fail", 78)
    assert "several accounts: one, two" in found.text
    assert check(nats_server(), "one", "two", account="two").result == "ok"
    other = check(nats_server(), "one", account="two")
    assert (other.result, "has no account two that is led, but one" in other.text) == ("fail", True)
    assert "cluster.account" in other.hint


@pytest.mark.slow
def test_a_certificate_that_is_not_trusted_fails_with_the_variable_to_set(nats_server, certificates):
    server = nats_server(certificates.tls())
    found = check(None, url=server.url.replace("nats:", "tls:"))
    assert (found.result, "its certificate is not trusted" in found.text) == ("fail", True)
    assert found.hint == "Let SSL_CERT_FILE name a file with the certificate of its authority."


def test_a_bus_without_a_leader_is_a_warning(nats_server):
    found = check(nats_server())
    assert found.result == "warn"
    assert "no ingester leads" in found.text


def test_a_bus_for_small_messages_is_a_warning_with_the_remedy(nats_server):
    found = check(nats_server(max_payload="1MB"), "paper")
    assert found.result == "warn"
    assert "at most 1048576 bytes" in found.text
    assert "max_payload: 8MB" in found.hint


def test_a_bus_without_jetstream_fails(nats_server):
    found = check(nats_server("nojetstream"))
    assert found.result == "fail"
    assert "JetStream" in found.text
    assert "jetstream" in found.hint


def test_refused_credentials_fail_like_a_refused_key(nats_server, tmp_path):
    server = nats_server('authorization { token: "right-token" }')
    wrong = BusCredentials(kind="token", secret=Secret("wrong-token"), path=tmp_path / "x")
    found = check(server, credentials=wrong)
    assert (found.result, found.exit_code) == ("fail", 77)
    assert "wrong-token" not in found.text + found.hint


@pytest.mark.slow
def test_a_bus_that_cannot_be_reached_fails_with_the_reason(nats_server, monkeypatch):
    monkeypatch.setattr(bus, "CONNECT_SECONDS", 1.0)
    server = nats_server()
    server.kill()
    found = check(server)
    assert found.result == "fail"
    assert "cannot be reached: Connection refused" in found.text


def test_certificates_that_cannot_be_read_fail_like_the_configuration(nats_server):
    found = check(None, url="tls://127.0.0.1:1", environ={"SSL_CERT_FILE": "/nonexistent"})
    assert (found.result, found.exit_code) == ("fail", 78)
