import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from condord.cluster.election import RENEWALS, Acquire, Election, Extend, Lead, Release, Renew, StopMaker
from tests.examples import examples

LEASE = 3.0
MARGIN = 0.45


@pytest.fixture
def election():
    return Election(LEASE, chance=lambda: 0.5)


@pytest.fixture
def leader(election):
    """An election in which this process asked for the lease at 100 s and leads with fence 7."""
    assert election.tick(100.0) == [Acquire(1)]
    assert election.acquired(1, 100.1, 7) == [Lead(7, 100.0 + LEASE - MARGIN)]
    return election


def test_a_standby_asks_at_once_and_again_while_another_has_the_lease(election):
    assert (election.role, election.deadline) == ("standby", 0.0)
    assert election.tick(100.0) == [Acquire(1)]
    assert (election.role, election.deadline) == ("candidate", None)
    assert election.tick(101.0) == []
    assert election.refused(1, 101.0) == []
    assert (election.role, election.deadline) == ("standby", 101.5)
    assert election.tick(101.4) == []
    assert election.tick(101.5) == [Acquire(2)]


def test_a_lease_counts_from_when_it_was_asked_for_and_is_renewed_three_times(leader):
    assert (leader.role, leader.fence, leader.deadline) == ("leading", 7, 101.0)
    assert leader.tick(100.9) == []
    assert leader.tick(101.0) == [Renew(2, 7)]
    assert leader.deadline == 100.0 + LEASE - MARGIN
    assert leader.renewed(2, 101.9, is_ours=True) == [Extend(101.0 + LEASE - MARGIN)]
    assert leader.deadline == 102.0


def test_a_leader_without_answers_ends_its_maker_before_the_lease_ends(leader):
    assert leader.tick(101.0) == [Renew(2, 7)]
    assert leader.tick(102.54) == []
    assert leader.tick(102.55) == [StopMaker(at_once=True)]
    assert (leader.role, leader.deadline) == ("steppingDown", None)
    assert leader.renewed(2, 102.6, is_ours=True) == []
    assert leader.tick(110.0) == []
    assert leader.maker_ended(110.0, 0.0) == []
    assert (leader.role, leader.fence, leader.deadline) == ("standby", None, 110.5)


def test_a_renewal_without_a_clear_answer_is_tried_again_soon(leader):
    leader.tick(101.0)
    assert leader.failed(2, 101.8) == []
    assert leader.deadline == pytest.approx(102.3)
    assert leader.tick(102.3) == [Renew(3, 7)]
    assert leader.renewed(2, 102.4, is_ours=False) == []
    assert leader.renewed(3, 102.4, is_ours=True) == [Extend(102.3 + LEASE - MARGIN)]


def test_a_lost_lease_ends_the_maker_at_once(leader):
    leader.tick(101.0)
    assert leader.renewed(2, 101.1, is_ours=False) == [StopMaker(at_once=True)]
    assert leader.maker_ended(101.2, 0.0) == []


def test_a_process_that_wakes_looks_at_its_lease_before_anything_else(leader):
    assert leader.tick(160.0) == [StopMaker(at_once=True)]


def test_an_answer_that_is_read_after_the_lease_does_not_extend_it(leader):
    leader.tick(101.0)
    assert leader.renewed(2, 160.0, is_ours=True) == [StopMaker(at_once=True)]


def test_a_lease_that_is_nearly_over_when_the_answer_comes_is_given_back(election):
    election.tick(100.0)
    assert election.acquired(1, 103.0, 7) == [Release(7)]
    assert (election.role, election.deadline) == ("standby", 103.5)


def test_the_lease_of_an_earlier_maker_is_given_back_for_one_with_a_higher_fence(leader):
    leader.tick(110.0)
    leader.maker_ended(110.0, 0.0)
    assert leader.tick(111.0) == [Acquire(2)]
    assert leader.acquired(2, 111.1, 7) == [Release(7)]
    assert leader.tick(leader.deadline) == [Acquire(3)]
    assert leader.acquired(3, 112.0, 8)[0].fence == 8


def test_a_lease_ends_earlier_if_the_others_are_configured_with_a_shorter_one(election):
    election.tick(100.0)
    election.set_lease_seconds(1.0)
    assert election.acquired(1, 100.1, 7) == [Lead(7, 100.8)]


def test_answers_to_earlier_requests_are_ignored(election):
    election.tick(100.0)
    election.failed(1, 101.0)
    assert election.acquired(1, 101.1, 7) == []
    assert election.refused(1, 101.1) == []
    assert election.failed(1, 101.1) == []
    assert election.deadline == 101.5


def test_a_maker_that_ends_by_itself_leaves_the_lease_to_others(leader):
    assert leader.maker_ended(100.5, 4.0) == [Release(7)]
    assert (leader.role, leader.deadline) == ("standby", 104.5)


def test_a_stop_ends_the_maker_gracefully_and_renews_the_lease_meanwhile(leader):
    assert leader.leave() == [StopMaker(at_once=False)]
    assert leader.tick(101.0) == [Renew(2, 7)]
    assert leader.renewed(2, 101.1, is_ours=True) == [Extend(101.0 + LEASE - MARGIN)]
    assert not leader.is_over
    assert leader.maker_ended(101.2, 0.0) == [Release(7)]
    assert leader.is_over
    assert leader.deadline is None
    assert leader.tick(200.0) == []


def test_a_stop_whose_lease_runs_out_kills_the_maker(leader):
    leader.leave()
    leader.tick(101.0)
    assert leader.tick(103.0) == [StopMaker(at_once=True)]
    assert leader.maker_ended(103.1, 0.0) == []
    assert leader.is_over


def test_a_standby_or_a_candidate_leaves_at_once(election):
    assert election.leave() == []
    assert election.is_over
    candidate = Election(LEASE, chance=lambda: 0.5)
    candidate.tick(1.0)
    assert candidate.leave() == []
    assert candidate.is_over
    assert candidate.acquired(1, 1.1, 7) == []


class Kv:
    """The server: a lease with a fence, which ends by the server's clock.

    `seen` has each ingester that has asked since the store was lost, with the time of its first request.
    """

    def __init__(self):
        self.lose_store(0.0)
        self.is_unused = False

    def lose_store(self, at):
        self.base, self.revision, self.holder, self.fence, self.ends = int(1000 * at), 0, None, 0, 0.0
        self.is_unused, self.seen = True, {}

    def do(self, at, holder, command):
        """The answer to a request that arrives at `at`."""
        is_held = self.holder is not None and at < self.ends
        if isinstance(command, Acquire):
            if is_held:
                self.ends = at + LEASE if self.holder == holder else self.ends
                return ("acquired", self.fence) if self.holder == holder else ("refused",)
            if self.is_unused and at - self.seen.setdefault(holder, at) < LEASE:
                return ("refused",)
            self.revision += 1
            self.is_unused = False
            self.holder, self.fence, self.ends = holder, self.base + self.revision, at + LEASE
            return "acquired", self.fence
        is_theirs = is_held and (self.holder, self.fence) == (holder, command.fence)
        if isinstance(command, Release):
            self.holder = None if is_theirs else self.holder
            return None
        self.ends = at + LEASE if is_theirs else self.ends
        return "renewed", is_theirs


class Ingester:
    """One process: its election, its maker, and what it has asked. It does nothing until `stalled_until`."""

    def __init__(self, name):
        self.name = name
        self.election = Election(LEASE, chance=lambda: 0.5)
        self.is_alive = True
        self.stalled_until = 0.0
        self.maker_until: float | None = None  # the deadline of its maker, which needs no loop
        self.maker_ends = float("inf")
        self.gives_up_at: float | None = None
        self.asked = 0


WHICH = st.sampled_from([None, None, None, 0, 1, 2])
THEN = st.floats(0.1, 6)


class Cluster(RuleBasedStateMachine):
    """Three ingesters and a server. A message takes some time, or is lost; processes stall, die and start again."""

    def __init__(self):
        super().__init__()
        self.now = 10.0
        self.kv = Kv()
        self.members = [Ingester(f"{number}") for number in range(3)]
        self.started = 3
        self.mail = []  # (when, what to do then)
        self.fences = [0]
        self.delay, self.loss, self.sent = 0.05, 0, 0
        self.cut: set[str] = set()

    # Faults.

    @rule(then=THEN, delay=st.sampled_from([0.0, 0.05, 0.4, 0.9, 2.0]), loss=st.sampled_from([0, 2, 3, 5]))
    def change_network(self, then, delay, loss):
        self.delay, self.loss = delay, loss
        self._pass(then)

    @rule(which=WHICH, then=THEN)
    def cut_off(self, which, then):
        self.cut ^= {self._member(which).name}
        self._pass(then)

    @rule(which=WHICH, then=THEN, seconds=st.floats(0.1, 12))
    def stall(self, which, then, seconds):
        self._member(which).stalled_until = self.now + seconds
        self._pass(then)

    @rule(which=WHICH, then=THEN)
    def kill_and_start_again(self, which, then):
        self._replace(self._member(which))
        self._pass(then)

    @rule(which=WHICH, then=THEN)
    def maker_crashes(self, which, then):
        member = self._member(which)
        if member.maker_until is not None:
            member.maker_ends = self.now
        self._pass(then)

    @rule(which=WHICH, then=THEN)
    def stop(self, which, then):
        member = self._member(which)
        if self.now >= member.stalled_until:
            self._do(member, member.election.leave())
        self._pass(then)

    @rule(then=THEN)
    def lose_store(self, then):
        self.kv.lose_store(self.now)
        self._pass(then)

    @rule()
    def end_disturbances(self):
        """Someone leads within a lease and a few seconds once nothing disturbs it."""
        self.delay, self.loss, self.cut = 0.05, 0, set()
        for member in self.members.copy():
            member.stalled_until = min(member.stalled_until, self.now)
            if member.election.is_over:
                self._replace(member)
        end = self.now + LEASE + 3
        while not self._leaders():
            assert self.now < end, [member.election.role for member in self.members]
            self._step()

    def _member(self, which):
        """The one with a maker, or that with this number."""
        running = [member for member in self.members if member.maker_until is not None]
        return running[0] if which is None and running else self.members[which or 0]

    def _replace(self, member):
        """Kill a process, with its maker, and start another."""
        member.is_alive = False
        self.members[self.members.index(member)] = Ingester(f"{self.started}")
        self.started += 1

    def _pass(self, seconds):
        end = self.now + seconds
        while self.now < end:
            self._step()

    # What holds.

    def _leaders(self):
        return [member for member in self.members if member.maker_until and member.election.role == "leading"]

    @invariant()
    def fences_rise(self):
        assert self.fences == sorted(set(self.fences))

    def _step(self):
        self.now += 0.05
        for item in sorted((item for item in self.mail if item[0] <= self.now), key=lambda item: item[0]):
            self.mail.remove(item)
            item[1]()
        for member in self.members:
            self._run(member)
        running = [member.name for member in self.members if member.maker_until is not None]
        assert len(running) <= 1, running
        assert not running or running == [self.kv.holder] or self.now >= self.kv.ends, "a maker without the lease"

    def _run(self, member):
        has_ended = member.maker_until is not None and self.now >= min(member.maker_until, member.maker_ends)
        if has_ended:
            member.maker_until = None
        if self.now < member.stalled_until:
            return
        election = member.election
        if election.role in ("leading", "steppingDown") and member.maker_until is None:
            self._do(member, election.maker_ended(self.now, 1.0))
        if member.gives_up_at is not None and self.now >= member.gives_up_at:
            member.gives_up_at = None
            self._do(member, election.failed(member.asked, self.now))
        if election.deadline is not None and self.now >= election.deadline:
            self._do(member, election.tick(self.now))

    def _do(self, member, commands):
        for command in commands:
            match command:
                case Acquire() | Renew():
                    member.asked, member.gives_up_at = command.number, self.now + LEASE / RENEWALS
                    self._send(member, command)
                case Release():
                    self._send(member, command)
                case Lead(fence, until):
                    self.fences.append(fence)
                    member.maker_until, member.maker_ends = until, float("inf")
                case Extend(until):
                    member.maker_until = None if member.maker_until is None else until
                case StopMaker(at_once):
                    member.maker_ends = min(member.maker_ends, self.now + (0.0 if at_once else 2.0))

    def _is_lost(self, member):
        self.sent += 1
        return member.name in self.cut or (self.loss and self.sent % self.loss == 0)

    def _send(self, member, command):
        if self._is_lost(member):
            return

        def arrive():
            answer = self.kv.do(self.now, member.name, command)
            if answer is not None and not self._is_lost(member):
                self.mail.append((self.now + self.delay, lambda: self._answer(member, command, answer)))

        self.mail.append((self.now + self.delay, arrive))

    def _answer(self, member, command, answer):
        if not member.is_alive:
            return
        if self.now < member.stalled_until:  # it is read when the process goes on
            self.mail.append((member.stalled_until, lambda: self._answer(member, command, answer)))
            return
        name, *values = answer
        if command.number == member.asked:
            member.gives_up_at = None
        election = member.election
        if name == "renewed":
            self._do(member, election.renewed(command.number, self.now, is_ours=values[0]))
        else:
            self._do(member, getattr(election, name)(command.number, self.now, *values))


TestCluster = Cluster.TestCase
TestCluster.settings = settings(max_examples=examples(100), stateful_step_count=40, deadline=None)
