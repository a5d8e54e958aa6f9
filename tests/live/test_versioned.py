from condord.live.versioned import Versioned, common


def test_changes_after_an_event_are_found_newest_first():
    held = Versioned()
    held.fill([("a", 1, "A"), ("b", 2, "B"), ("c", 3, "C")])
    held.put("b", 5, "B5", 5)
    held.put("a", 6, "A6", 6)
    assert held.since(4) == ["a", "b"]
    assert held.since(5) == ["a"]
    assert held.new(4, frozenset({"b", "x"})) == ["B5"]
    assert held.among(None) == ["A6", "B5", "C"]
    assert held.among(frozenset({"c"})) == ["C"]
    assert held.core == {"a": 6, "b": 5, "c": 3}


def test_without_core_values_only_the_published_values_are_kept():
    held = Versioned()
    held.put("x", 1, "X", 1)
    held.fill_shown([("a", "A")])
    assert (held.core, held.json, held.since(0)) == ({}, {"a": "A"}, [])
    held.show("a", "A2", 2)
    assert (held.core, held.json, held.since(1)) == ({}, {"a": "A2"}, ["a"])


def test_the_known_names_are_found_from_either_side():
    assert common(["a", "b"], {"a": 1}) == common(["a"], {"a": 1, "b": 2}) == {"a"}
