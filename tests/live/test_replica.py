import json

import msgspec
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from condord.live import wire
from condord.live.fanout import Fanout
from condord.live.published import EVERYTHING, Selection
from condord.live.replica import Replica, SourceEvent, UnreadableEvent, empty_edition
from condord.live.subscriber import RETRY
from tests.examples import examples

from .accounts import (
    C650,
    P560,
    P570,
    QQQ_ID,
    REPEATABLE,
    SPY_ID,
    PublishingService,
    events,
    position,
    settled,
    spy,
    status,
    tick,
    ticks,
)
from .fake_alerts import FakeAlerts
from .replicas import Client, Hop, Origin
from .test_publisher import balances, closing_order

ONE_CALL = Selection(symbols=frozenset([C650]))
ONE_CONDOR = Selection(condors=frozenset([SPY_ID]))
HELD = (*spy(), position(C650, 3, 0.40))


@pytest.fixture
def origin():
    service = PublishingService(HELD, alerts=FakeAlerts)
    service.set_status(status())
    quote_all(service, 2.0)
    return Origin(service)


def quote_all(service, price):
    """Offer a quote for every contract held, and wait a second, so that it is published."""
    service.moves += 1
    service.offer(*(tick(symbol, price, price + 0.2, service.moves) for symbol in service.book.symbols))
    service.wait(1.0)


@pytest.fixture
def hop(origin):
    hop = Hop(origin)
    hop.pump()
    return hop


def as_json(document):
    return settled(msgspec.json.decode(msgspec.json.encode(document)))


def test_the_document_equals_the_sources_at_the_same_version(origin, hop):
    for change in (lambda: origin.service.move(C650), lambda: origin.service.set_positions(spy(1))):
        change()
        hop.pump()
        assert hop.edition.version == origin.service.edition.version
        assert as_json(hop.document()) == origin.service.document(EVERYTHING)
        assert as_json(hop.document(ONE_CONDOR)) == origin.service.document(ONE_CONDOR)


def test_events_are_passed_on_unchanged_with_their_ids(origin, hop):
    subscriber = hop.subscribe(EVERYTHING)
    subscriber.take(lambda: origin.now_at)
    hop.blocks.clear()
    at_origin = origin.subscribe(EVERYTHING)
    at_origin.take(lambda: origin.now_at)
    origin.service.move()
    origin.service.set_positions(spy(1))
    origin.service.alerts.set(f"half:{SPY_ID}", due=origin.now)
    origin.service.turn()
    hop.pump()
    sent = subscriber.take(lambda: origin.now_at)
    assert sent == at_origin.take(lambda: origin.now_at)
    assert [event for event, _, _ in events(sent)][-1] == "alert"


def test_the_retry_of_the_source_is_not_passed_on(origin, hop):
    subscriber = hop.subscribe(EVERYTHING)
    subscriber.take(lambda: origin.now_at)
    hop.connect()
    hop.pump()
    assert RETRY not in subscriber.take(lambda: origin.now_at)


def test_before_the_first_snapshot_nothing_is_known(origin):
    hop = Hop(origin)
    assert not hop.replica.is_known
    assert hop.replica.resume_version is None
    hop.lose()
    assert hop.replica.is_lost
    hop.pump()
    assert hop.replica.is_known
    assert not hop.replica.is_lost
    assert hop.replica.resume_version == origin.service.edition.version


def test_events_before_a_snapshot_are_left_out(origin):
    hop = Hop(origin)
    event = SourceEvent(
        "delta", "k3f9-9", b'{"asOf":"2026-11-20T15:00:00Z","quotes":[],"valuations":[],"unmatched":[]}', b""
    )
    assert hop.replica.take(event, 0.0, origin.now_at)[1] == []
    alert = SourceEvent("alert", None, b"{}", b"")
    assert hop.replica.take(alert, 0.0, origin.now_at) == (None, [])
    assert not hop.replica.is_known


@pytest.mark.parametrize("selection", [EVERYTHING, ONE_CALL])
@pytest.mark.parametrize("interval", [0.0, 2.0])
def test_a_lost_source_is_reported_by_a_status_without_an_id_and_ends_with_the_next_event(
    origin, hop, selection, interval
):
    client = Client(hop, selection, interval)
    client.read()
    hop.cut()
    hop.lose()
    [(event, identity, data)] = client.read()
    assert (event, identity) == ("delta", None)
    assert (data["status"]["state"], data["status"]["code"]) == ("reconnecting", "sourceLost")
    assert data["status"]["reason"] == "the source is lost"
    version = hop.edition.version
    assert as_json(hop.document(selection)) == client.document
    hop.lose()
    assert client.read() == []
    hop.connect()
    hop.pump()
    found = client.read()
    assert [(event, identity) for event, identity, _ in found] == [("delta", version)]
    assert client.document["status"]["state"] == "live"
    assert client.document == origin.service.document(selection)


def test_while_the_source_is_lost_subscribers_are_sent_a_change_of_its_reason(hop):
    client = Client(hop)
    client.read()
    hop.cut()
    for code in ("busLost", "leaderLost", "leaderLost", "busLost"):
        hop.lose(code)
    assert [data["status"]["code"] for _, _, data in client.read()] == ["busLost", "leaderLost", "busLost"]
    assert as_json(hop.document()) == client.document
    hop.connect()
    hop.pump()
    client.read()
    assert client.document["status"]["code"] is None


def test_while_the_source_is_lost_a_new_reason_is_sent_and_the_start_of_the_loss_stays(origin, hop):
    client = Client(hop)
    client.read()
    hop.cut()
    hop.lose()
    [(_, _, first)] = client.read()
    origin.service.wait(5.0)
    for _ in range(2):
        hop.replica.lose("sourceLost", "it answers 404", origin.now_at)
    [(_, identity, second)] = client.read()
    assert (identity, second["status"]["reason"]) == (None, "it answers 404")
    assert second["status"]["since"] == first["status"]["since"]
    assert as_json(hop.document()) == client.document


@pytest.mark.parametrize("selection", [EVERYTHING, ONE_CALL, ONE_CONDOR])
@pytest.mark.parametrize("interval", [0.0, 2.0])
def test_when_the_source_is_back_subscribers_get_the_missed_changes(origin, hop, selection, interval):
    client = Client(hop, selection, interval)
    client.read()
    hop.cut()
    hop.lose()
    origin.service.move(C650)
    origin.service.move(P560)
    joined = Client(hop, selection, interval)
    joined.read()
    assert joined.document["status"]["code"] == "sourceLost"
    hop.connect()
    hop.pump()
    for each in (client, joined):
        assert "snapshot" not in [event for event, _, _ in each.read()[1:]]
        assert each.document == origin.service.document(selection)


@pytest.mark.parametrize("selection", [EVERYTHING, ONE_CALL])
def test_a_relay_of_a_relay_passes_on_that_the_first_has_lost_its_source_and_that_it_is_back(origin, hop, selection):
    second = Hop(hop)
    second.pump()
    client = Client(second, selection)
    client.read()
    hop.cut()
    hop.lose()
    second.pump()
    assert [identity for _, identity, _ in client.read()] == [None]
    assert second.edition.status.code == "sourceLost"
    hop.connect()
    hop.pump()
    second.pump()
    assert [event for event, _, _ in client.read()] == ["delta"]
    assert client.document == origin.service.document(selection)
    assert (second.replica.dropped, second.replica.gaps) == (0, 0)


@pytest.mark.parametrize("has_read", [True, False])
def test_a_relay_of_a_relay_whose_source_is_lost_shows_when_that_source_is_back(origin, hop, has_read):
    second = Hop(hop)
    if has_read:
        second.pump()
    hop.cut()
    hop.lose()
    second.connect()
    second.pump()
    client = Client(second)
    client.read()
    assert client.document["status"]["code"] == "sourceLost"
    hop.connect()
    hop.pump()
    second.pump()
    client.read()
    assert client.document == origin.service.document(EVERYTHING)


def test_a_status_without_an_id_is_ignored_before_the_first_snapshot(origin):
    hop = Hop(origin)
    unchanged = b'{"asOf":"2026-11-20T15:00:00Z","quotes":[],"valuations":[],"unmatched":[]}'
    assert hop.replica.take(SourceEvent("delta", None, unchanged, b""), 0.0, origin.now_at)[1] == []
    hop.pump()
    assert hop.replica.take(SourceEvent("delta", None, unchanged, b""), 0.0, origin.now_at)[1] == []


def test_prices_of_underlyings_risks_orders_balances_and_alerts_that_are_gone_are_followed(origin, hop):
    service = origin.service
    service.publisher.set_account_summary(balances(50_000, origin.now_at), service.now)
    service.publisher.set_working_orders([closing_order("one", 1.2)], service.now)
    service.offer_stocks(tick("SPY", 600.0, 600.1, 9))
    service.alerts.set(f"half:{SPY_ID}", due=service.now)
    service.wait(3.0)
    hop.pump()
    assert service.edition.alerts.shown
    service.alerts.set(f"half:{SPY_ID}", "resolved", due=service.now)
    service.wait(3.0)
    service.clock_is_ahead_by += 24 * 3600
    service.set_status(status())
    hop.pump()
    assert not service.edition.alerts.shown
    assert service.edition.account is not None
    assert service.edition.underlyings.json["SPY"].price == 600.05
    assert as_json(hop.document()) == service.document(EVERYTHING)


def test_an_event_without_a_status_does_not_end_the_loss_and_a_resume_does(origin, hop):
    """After a long pause of this process, events wait that were sent during the pause."""
    client = Client(hop)
    client.read()
    hop.lose()
    origin.service.move()
    hop.pump()
    client.read()
    assert hop.replica.is_lost
    assert client.version == origin.service.edition.version
    assert client.document["status"]["code"] == "sourceLost"
    assert as_json(hop.document()) == client.document
    hop.connect()
    hop.pump()
    client.read()
    assert not hop.replica.is_lost
    assert client.document == origin.service.document(EVERYTHING)


def test_a_resume_while_the_source_is_lost_has_that_status(origin, hop):
    client = Client(hop)
    client.read()
    hop.lose()
    client.go_to(hop)
    [(event, _, data)] = client.read()
    assert (event, data["status"]["code"]) == ("delta", "sourceLost")


@pytest.mark.parametrize("is_absent", [False, True])
def test_a_broken_condor_of_an_older_source_has_no_expiry(is_absent):
    source = PublishingService(HELD)
    source.set_positions(HELD[1:])
    document = json.loads(wire.encode(source.edition.document(source.now_at)))
    [broken] = document["broken"]
    assert broken["expiry"]["cutoffs"]
    if is_absent:
        del broken["expiry"]
    hop = Hop(Origin(PublishingService(HELD)))
    hop.replica.take(SourceEvent("snapshot", document["version"], json.dumps(document).encode(), b""), 0.0, hop.now_at)
    [shown] = hop.edition.document(hop.now_at).broken
    assert (shown.expiry is None) is is_absent
    assert shown.id == broken["id"]


def test_a_source_that_was_restarted_replaces_everything(origin, hop):
    whole, one = Client(hop), Client(hop, ONE_CALL, 2.0)
    for client in (whole, one):
        client.read()
    for _ in range(20):
        origin.service.move()
        hop.pump()
    hop.cut()
    later = PublishingService(HELD)
    later.edition._epoch, later.now = "next", origin.now
    later.set_status(status())
    origin.service = later
    hop.connect()
    hop.pump()
    for client in (whole, one):
        assert client.read()[-1][:2] == ("snapshot", later.edition.version)
        assert client.document == later.document(client.selection)
    assert (hop.replica.gaps, hop.replica.dropped) == (0, 0)
    later.move(C650)
    later.wait(3.0)
    hop.pump()
    for client in (whole, one):
        assert [event for event, _, _ in client.read()] == ["delta"]
        assert client.document == later.document(client.selection)


def test_events_that_the_source_no_longer_has_are_a_gap_that_its_snapshot_closes(origin):
    origin.service = PublishingService(HELD, ring_size=2)
    hop = Hop(origin)
    hop.pump()
    client = Client(hop)
    client.read()
    for _ in range(5):
        origin.service.move()
    hop.pump()
    assert hop.replica.gaps == 1
    sent = client.subscriber.take(lambda: origin.now_at)
    assert sent.startswith(b": resync, ringOverflow\nevent: snapshot\n")
    assert as_json(hop.document()) == origin.service.document(EVERYTHING)


def test_a_connection_to_a_server_that_is_behind_sends_nothing_older(origin, hop):
    behind = Hop(origin)
    behind.pump()
    behind.cut()
    client = Client(hop)
    origin.service.move()
    origin.service.move()
    hop.pump()
    client.read()
    hop.cut()
    hop.upstream = behind
    hop.connect()
    hop.pump()
    assert client.read() == []
    behind.connect()
    behind.pump()
    hop.pump()
    origin.service.move()
    behind.pump()
    hop.pump()
    client.read()
    assert client.document == origin.service.document(EVERYTHING)
    assert hop.replica.gaps == 0


def events_of(origin, *changes):
    """What a stream of the origin brings, one event for each change after the snapshot."""
    hop = Hop(origin)
    reading, subscriber = hop.reading, hop.subscriber
    found = reading.feed(subscriber.take(lambda: origin.now_at))
    for change in changes:
        change()
        found += reading.feed(subscriber.take(lambda: origin.now_at))
    return found


def test_an_event_that_comes_twice_or_late_is_dropped(origin):
    first, *moved = events_of(origin, *[origin.service.move] * 4)
    edition = empty_edition(64)
    replica = Replica(edition, Fanout(edition, ring_size=8, follows=True))

    def take(event):
        return replica.take(event, 0.0, origin.now_at)

    replica.begin()
    take(first)
    take(moved[0])
    take(moved[1])
    assert (replica.dropped, replica.gaps) == (0, 0)
    take(moved[1])
    take(moved[2])
    assert (replica.dropped, replica.gaps, edition.version) == (1, 0, moved[2].id)
    take(moved[0])
    take(first)
    assert (replica.dropped, replica.gaps, edition.version) == (3, 0, moved[2].id)


def test_an_event_that_begins_later_than_the_document_is_a_gap(origin):
    first, *moved = events_of(origin, *[origin.service.move] * 5)
    edition = empty_edition(64)
    replica = Replica(edition, Fanout(edition, ring_size=8, follows=True))
    replica.begin()
    for event in (first, *moved[:3]):
        replica.take(event, 0.0, origin.now_at)
    replica.take(moved[0], 0.0, origin.now_at)  # from another server, which is behind
    replica.take(moved[4], 0.0, origin.now_at)
    assert (replica.gaps, replica.needs_snapshot, replica.resume_version) == (1, True, None)
    replica.take(moved[4], 0.0, origin.now_at)
    assert replica.gaps == 1
    replica.begin()
    [whole] = events_of(origin)
    replica.take(whole, 0.0, origin.now_at)
    assert (replica.gaps, replica.needs_snapshot) == (1, False)
    assert as_json(edition.document(origin.now_at)) == origin.service.document(EVERYTHING)


def test_a_delta_of_another_epoch_is_a_gap(origin, hop):
    [_, moved] = events_of(origin, origin.service.move)
    hop.replica.take(moved._replace(id="next-99"), 0.0, origin.now_at)
    assert hop.replica.needs_snapshot


@pytest.mark.parametrize(
    ("name", "identity", "data"),
    [("snapshot", "k3f9-1", b"{}"), ("delta", "k3f9-1", b"[]"), ("heartbeat", None, b"x"), ("delta", "k3f9", None)],
)
def test_an_event_that_no_condord_sends_is_unreadable(origin, hop, name, identity, data):
    if data is None:
        data = events_of(origin, origin.service.move)[1].data
    with pytest.raises(UnreadableEvent, match="an event"):
        hop.replica.take(SourceEvent(name, identity, data, b""), 0.0, origin.now_at)


def test_an_event_of_an_unknown_name_is_ignored(origin, hop):
    assert hop.replica.take(SourceEvent("news", None, b"{}", b""), 0.0, origin.now_at) == (None, [])


def test_an_alert_comes_after_the_values_it_was_found_in_also_to_a_slow_view(origin, hop):
    slow = Client(hop, ONE_CONDOR, 10.0)
    slow.read()
    origin.service.move()
    hop.pump()
    slow.read()
    origin.service.alerts.set(f"half:{SPY_ID}", due=origin.now)
    origin.service.turn()
    hop.pump()
    assert [event for event, _, _ in slow.read()] == ["delta", "alert"]
    assert slow.document == origin.service.document(ONE_CONDOR)


def test_a_line_that_grew_while_the_connection_was_cut_is_not_appended_twice(origin, hop):
    """A client that has an event inside of what was joined gets a snapshot from the server that joined it."""
    client = Client(origin)
    client.read()
    hop.cut()
    origin.service.wait(121.0)
    client.read()
    assert client.document["condors"][0]["history"]["seconds"]
    inside = client.version
    origin.service.move()
    hop.connect()
    hop.pump()
    assert hop.edition.resume_from(inside) == "replayWindowPassed"
    client.go_to(hop)
    assert [event for event, _, _ in client.read()] == ["snapshot"]
    assert client.document == origin.service.document(EVERYTHING)


SELECTIONS = (EVERYTHING, EVERYTHING, ONE_CALL, ONE_CONDOR, Selection(condors=frozenset([QQQ_ID])))
INTERVALS = (0.0, 0.0, 0.6, 2.0)


class Chain(RuleBasedStateMachine):
    """A source, a relay of it and a relay of that, with cuts anywhere, and clients that go from one to another."""

    @initialize(ring_size=st.sampled_from([2, 4, 256]), replay_size=st.sampled_from([0, 3, 1024]))
    def start(self, ring_size, replay_size):
        self.ring_size, self.replay_size = ring_size, replay_size
        self.epoch = 0
        self.origin = Origin(self.service())
        self.servers = [self.origin]
        self.at = {}
        self.note()
        for _ in range(2):
            self.servers.append(Hop(self.servers[-1], ring_size=ring_size, replay_size=replay_size))
            self.servers[-1].pump()
        self.clients = []

    def service(self):
        self.epoch += 1
        service = PublishingService((), ring_size=self.ring_size, replay_size=self.replay_size, alerts=FakeAlerts)
        service.edition._epoch = f"e{self.epoch}"
        service.set_positions(HELD)
        service.set_status(status())
        quote_all(service, 2.0)
        return service

    def note(self):
        service = self.origin.service
        self.at[service.edition.version] = {selection: service.document(selection) for selection in SELECTIONS}

    def carry_out(self, change):
        """Change the source one event after the other, so that every version is noted."""
        change()
        self.note()
        for server in self.servers[1:]:
            server.pump()

    @rule(batch=st.lists(ticks(), min_size=1, max_size=4))
    def offer(self, batch):
        self.carry_out(lambda: self.origin.service.offer(*batch))

    @rule(symbol=st.sampled_from([P560, P570, C650]))
    def move(self, symbol):
        service = self.origin.service
        service.moves += 1
        price = 1 + service.moves % 40
        self.carry_out(lambda: service.offer(tick(symbol, price, price, service.moves)))

    @rule(price=st.sampled_from([1.0, 2.0]))
    def wait_for_a_minute(self, price):
        """Wait long enough for a point of each line, with quotes that are not too old for one."""
        self.change_status("live")
        self.wait(max(0.0, self.origin.service.book.minutes.deadline - self.origin.now - 20.0))
        service = self.origin.service
        service.moves += 1
        self.carry_out(
            lambda: service.offer(*(tick(symbol, price, price + 0.2, service.moves) for symbol in service.book.symbols))
        )
        self.wait(25.0)

    @rule(held=st.sampled_from([HELD, spy(1), (), spy()]))
    def change_positions(self, held):
        self.carry_out(lambda: self.origin.service.set_positions(held))

    @rule(state=st.sampled_from(["live", "stale", "closed"]))
    def change_status(self, state):
        self.carry_out(lambda: self.origin.service.set_status(status(state)))

    @rule(identity=st.sampled_from([f"half:{SPY_ID}", "limit:account"]), state=st.sampled_from(["firing", "resolved"]))
    def change_alert(self, identity, state):
        self.origin.service.alerts.set(identity, state, due=self.origin.now)
        self.carry_out(self.origin.service.turn)

    @rule(seconds=st.sampled_from([0.1, 0.6, 2.0, 25.0]))
    def wait(self, seconds):
        service, until = self.origin.service, self.origin.now + seconds
        while (deadline := service.publisher.deadline) is not None and deadline <= until:
            service.now = max(service.now, deadline)
            self.carry_out(service.turn)
        service.now = until
        self.carry_out(lambda: None)

    @rule(which=st.integers(1, 2))
    def cut(self, which):
        self.servers[which].cut()

    @rule(which=st.integers(1, 2))
    def reconnect(self, which):
        self.servers[which].connect()
        self.carry_out(lambda: None)

    @rule(which=st.integers(1, 2))
    def lose(self, which):
        """A replica may notice a silence although it is connected."""
        self.servers[which].lose()
        self.carry_out(lambda: None)

    @precondition(lambda self: self.epoch < 3)
    @rule()
    def restart(self):
        """The source stops: everything that was connected to it is cut off."""
        self.servers[1].cut()
        for client in self.clients:
            if client.server is self.origin:
                client.go_to(self.servers[1])
        now = self.origin.now
        service = self.service()
        service.now = max(service.now, now)
        service.turn()  # what is due by now leaves with a version of its own
        self.origin.service = service
        self.note()

    @precondition(lambda self: len(self.clients) < 6)
    @rule(
        where=st.integers(0, 2),
        selection=st.sampled_from(SELECTIONS),
        interval=st.sampled_from(INTERVALS),
        coding=st.sampled_from(["identity", "gzip"]),
    )
    def join(self, where, selection, interval, coding):
        self.clients.append(Client(self.servers[where], selection, interval, coding))

    @precondition(lambda self: self.clients)
    @rule(which=st.integers(0, 5), where=st.integers(0, 2))
    def hop(self, which, where):
        client = self.clients[which % len(self.clients)]
        self.read(client)
        client.go_to(self.servers[where])

    @precondition(lambda self: self.clients)
    @rule(which=st.integers(0, 5))
    def read_one(self, which):
        self.read(self.clients[which % len(self.clients)])

    def read(self, client):
        before = len(client.seen)
        client.read()
        for event, _, document in client.seen[before:]:
            if event in ("snapshot", "delta"):
                expected = self.at[document["version"]][client.selection]
                is_lost = document["status"]["code"] == "sourceLost"
                assert document == ({**expected, "status": document["status"]} if is_lost else expected)

    def teardown(self):
        """When all is connected again, every client gets to the document of the source."""
        for server in self.servers[1:]:
            server.connect()
            server.pump()
        for _ in range(3):
            self.origin.service.now += 15.0
            self.carry_out(self.origin.service.turn)
            for server in self.servers[1:]:
                server.pump()
        for client in self.clients:
            self.origin.fanout.tick(self.origin.now, self.origin.now_at)
            self.read(client)
            newest = self.origin.service.document(client.selection)
            assert {**client.document, "version": newest["version"]} == newest
        for server in self.servers[1:]:
            assert as_json(server.document()) == self.origin.service.document(EVERYTHING)


TestChain = pytest.mark.slow(Chain.TestCase)
TestChain.settings = settings(REPEATABLE, max_examples=examples(200), stateful_step_count=30)
