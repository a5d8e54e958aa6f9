from condord.cluster.waking import GRACE_SECONDS, STALL_SECONDS, Waking

LOOK = 0.1


def looks(waking, begun, seconds, pause=LOOK):
    """The answers of looks that are `pause` apart."""
    return [waking.is_awake(begun + number * pause) for number in range(1, round(seconds / pause) + 1)]


def test_a_running_process_judges_silences_at_any_time():
    assert all(looks(Waking(1000.0), 1000.0, 10))
    assert all(looks(Waking(1000.0), 1000.0, 10, STALL_SECONDS))


def test_a_process_that_was_stopped_reads_for_a_while_before_it_judges_a_silence():
    waking = Waking(1000.0)
    assert not waking.is_awake(1010.0)
    found = looks(waking, 1010.0, GRACE_SECONDS + 1)
    first = found.index(True)
    assert GRACE_SECONDS - LOOK <= (first + 1) * LOOK <= GRACE_SECONDS + LOOK
    assert all(found[first:])


def test_a_second_stop_restarts_the_time_for_reading():
    waking = Waking(1000.0)
    assert not waking.is_awake(1010.0)
    assert not waking.is_awake(1010.5)
    assert not waking.is_awake(1020.0)
    assert not waking.is_awake(1020.9)
    assert waking.is_awake(1021.0)


def test_a_loop_that_is_always_late_still_judges_silences():
    assert any(looks(Waking(1000.0), 1000.0, 10, STALL_SECONDS + 0.1))
