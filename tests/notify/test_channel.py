from condord.host.secret import Secret
from tests.notify.builders import SECRET, channel


def test_the_shown_state_of_a_channel_has_neither_its_url_nor_its_key():
    shown = repr(channel(url="https://hooks.example/path-secret", signing_key=Secret(SECRET)))
    assert "hooks.example" not in shown
    assert SECRET not in shown


def test_a_channel_whose_url_changed_is_another_one():
    assert channel() == channel()
    assert channel() != channel(url="https://hooks.example/other")
