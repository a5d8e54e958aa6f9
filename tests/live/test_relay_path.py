import pytest

from condord.live.relay_path import MAX_NAME_LENGTH, MAX_RELAYS, RelayPath


def test_a_relay_names_itself_and_its_source():
    first, second = RelayPath("a"), RelayPath("b")
    assert first.follow("") is None
    assert first.text == "a"
    assert second.follow(first.text) is None
    assert second.text == "b, a"


def test_a_relay_that_would_follow_itself_sees_its_own_name_first():
    path = RelayPath("a")
    assert path.follow(path.text) == "itself"
    assert path.text == "a"


def test_every_relay_of_a_loop_sees_it_and_paths_do_not_grow():
    one, two, three = RelayPath("a"), RelayPath("b"), RelayPath("c")
    for _ in range(3):
        found = [one.follow(two.text), two.follow(three.text), three.follow(one.text)]
    assert found == ["others"] * 3
    assert (one.text, two.text, three.text) == ("a, b, c", "b, c, a", "c, a, b")


def test_a_loop_is_over_once_one_of_them_follows_another_condord():
    one, two = RelayPath("a"), RelayPath("b")
    one.follow(two.text)
    assert two.follow(one.text) == "others"
    one.follow("")
    assert two.follow(one.text) is None
    assert two.text == "b, a"


def test_a_worker_passes_on_the_path_of_its_relay():
    worker, relay = RelayPath(), RelayPath("a")
    assert worker.text == ""
    relay.follow("b")
    assert worker.follow(relay.text) is None
    assert worker.text == "a, b"
    assert relay.follow(worker.text) == "itself"


@pytest.mark.parametrize("text", [" , ", "a b", "ä", "x" * (MAX_NAME_LENGTH + 1)])
def test_an_invalid_name_in_the_path_is_ignored(text):
    path = RelayPath("own")
    assert path.follow(f"{text}, b") is None
    assert path.text == "own, b"


def test_the_length_of_a_relay_path_is_bounded():
    path = RelayPath("own")
    path.follow(", ".join("b" * 100))
    assert path.text.count(",") == MAX_RELAYS
