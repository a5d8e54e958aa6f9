import pytest

from condord.live.channel_remedies import channel_remedy


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (None, "the network and the firewall"),
        (302, "Redirects are not followed"),
        (401, "token or password"),
        (403, "token or password"),
        (404, "Nothing is at this URL"),
        (410, "further messages"),
        (410, "restart condord"),
        (413, "bodies"),
        (422, "log of the receiver"),
        (429, "limits messages"),
        (500, "has a fault"),
        (503, "has a fault"),
    ],
)
def test_each_status_has_one_sentence_with_its_remedy(status, text):
    remedy = channel_remedy(status)
    assert text in remedy
    assert remedy.endswith(".")
