import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.http.host_names import host_name, known_hosts, origin_name

is_known = known_hosts(["condord.example", ".example.org"])


@pytest.mark.parametrize("name", ["condord.example", "example.org", "a.example.org", "b.a.example.org"])
def test_a_leading_dot_matches_the_name_and_every_name_below_it(name):
    assert is_known(name)


@pytest.mark.parametrize(
    "name", ["", "a.condord.example", "badexample.org", "example.org.evil.example", "example.com", "org", ".org"]
)
def test_other_names_do_not_match(name):
    assert not is_known(name)


def test_without_names_nothing_matches():
    assert not known_hosts([])("")
    assert not known_hosts([])("localhost")


labels = st.text("ab", min_size=1, max_size=2)
names = st.lists(labels, min_size=1, max_size=4).map(".".join)


@given(st.lists(st.tuples(st.booleans(), names), max_size=3), names)
def test_names_are_compared_label_by_label(allowed, name):
    def is_at_or_below(other):
        return name.split(".")[-len(other.split(".")) :] == other.split(".")

    expected = any(is_at_or_below(other) if is_suffix else name == other for is_suffix, other in allowed)
    assert known_hosts(["." * is_suffix + other for is_suffix, other in allowed])(name) == expected


@given(st.text(st.characters(max_codepoint=255)))
def test_any_host_header_gives_a_plain_name_or_none(host):
    name = host_name(host)
    assert name is None or (name == name.lower() and name.isascii() and not set(name) & set("[]/@ \t,%?#"))


@pytest.mark.parametrize(
    ("configured", "sent"),
    [
        ("https://A.b:443", "https://a.b"),
        ("http://a.b:80", "http://a.b"),
        ("http://a.b:443", "http://a.b:443"),
        ("https://a.b:8443", "https://a.b:8443"),
        ("chrome-extension://abc", "chrome-extension://abc"),
    ],
)
def test_an_origin_is_normalized_to_what_browsers_send(configured, sent):
    assert origin_name(configured) == sent
