from condord.live.held_contracts import HeldContracts

from .accounts import ACCOUNTS, C630, C640, C650, P560, P570, SPY_ID, PublishingService, position, spy, unreadable


def held(positions):
    service = PublishingService()
    reading = service.account.offer(positions, (), {}, service.now)
    found = HeldContracts()
    found.hold(reading)
    return found


def test_nothing_is_held_at_first():
    found = HeldContracts()
    assert (found.listed, found.condors_of, found.leftover_of, found.max_losses_e4) == ((), {}, {}, {})
    assert found.rank(P560) == (2, P560)


def test_contracts_are_listed_in_the_order_of_the_document_without_unreadable_ones():
    assert held((*spy(), unreadable())).listed == (C630, C640, P560, P570)


def test_a_shared_contract_has_all_of_its_condors():
    found = held(ACCOUNTS["shared call"])
    assert len(found.condors_of[C630]) == 2
    assert len(found.condors_of[P570]) == 1


def test_short_legs_come_first_then_long_ones_then_the_rest():
    found = held((*spy(), position(C650, 3, 0.40)))
    assert sorted(found.listed, key=found.rank) == [C630, P570, C640, P560, C650]
    assert [condor.id for condor in found.condors_of[C630]] == [SPY_ID]
    assert [*found.leftover_of] == [C650]


def test_the_worst_case_is_by_underlying_and_has_no_bound_with_a_bare_call():
    assert held(spy()).max_losses_e4 == {"SPY": 15_300_000}
    assert held((position(C650, -1, 0.40),)).max_losses_e4 == {"SPY": None}
