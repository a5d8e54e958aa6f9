from condord.cluster.stall_detector import GRACE_SECONDS, STALL_SECONDS, StallDetector

CHECK_SECONDS = 0.1


def results(stalls, begun, seconds, pause=CHECK_SECONDS):
    """The results of checks that are `pause` seconds apart."""
    return [stalls.has_recovered(begun + number * pause) for number in range(1, round(seconds / pause) + 1)]


def test_a_running_process_judges_silences_at_any_time():
    assert all(results(StallDetector(1000.0), 1000.0, 10))
    assert all(results(StallDetector(1000.0), 1000.0, 10, STALL_SECONDS))


def test_a_process_that_was_stopped_reads_for_a_while_before_it_judges_a_silence():
    stalls = StallDetector(1000.0)
    assert not stalls.has_recovered(1010.0)
    found = results(stalls, 1010.0, GRACE_SECONDS + 1)
    first = found.index(True)
    assert GRACE_SECONDS - CHECK_SECONDS <= (first + 1) * CHECK_SECONDS <= GRACE_SECONDS + CHECK_SECONDS
    assert all(found[first:])


def test_a_second_stop_restarts_the_time_for_reading():
    stalls = StallDetector(1000.0)
    assert not stalls.has_recovered(1010.0)
    assert not stalls.has_recovered(1010.5)
    assert not stalls.has_recovered(1020.0)
    assert not stalls.has_recovered(1020.9)
    assert stalls.has_recovered(1021.0)


def test_a_loop_that_is_always_late_still_judges_silences():
    assert any(results(StallDetector(1000.0), 1000.0, 10, STALL_SECONDS + 0.1))
