import asyncio
import contextlib

import pytest

from condord.check.channels import ChannelProbes
from condord.errors import EXIT_CONFIG, EXIT_FAILED, ConfigError
from condord.host.secret import Secret
from condord.live.wire_alerts import ChannelTestJson
from condord.notify.channel import Channel


class FakeDelivery:
    """Answers as the test sets; an unknown channel has no answer."""

    def __init__(self, **answers):
        self.answers = answers
        self.tested = []
        self.is_open = False

    async def test(self, name):
        assert self.is_open
        self.tested.append(name)
        await asyncio.sleep(0)
        return self.answers.get(name)

    @contextlib.contextmanager
    def opened(self, channels):
        self.is_open = True
        yield self
        self.is_open = False


def channel(name):
    return Channel(name=name, type="webhook", url=Secret("https://example.com/a-secret"))


def answer(ok=True, status=200, text="HTTP 200 OK"):
    return ChannelTestJson(ok=ok, status=status, text=text)


def checked(delivery, *names):
    (probe,) = ChannelProbes(lambda: [channel(name) for name in names], delivery.opened).probes.values()
    return asyncio.run(probe())


def test_each_channel_gets_one_message():
    delivery = FakeDelivery(phone=answer(), hook=answer())
    check = checked(delivery, "phone", "hook")
    assert (check.name, check.result, check.text) == ("channels", "ok", "a test message was accepted by phone, hook")
    assert delivery.tested == ["phone", "hook"]
    assert not delivery.is_open


def test_without_channels_nothing_is_sent_or_opened():
    delivery = FakeDelivery()
    check = checked(delivery)
    assert (check.result, check.text) == ("ok", "no channel is configured, so alerts are not sent")


def test_a_failure_is_one_line_with_its_remedy():
    check = checked(
        FakeDelivery(phone=answer(), hook=answer(ok=False, status=404, text="HTTP 404 Not Found")), "phone", "hook"
    )
    assert (check.result, check.exit_code, check.text) == ("fail", EXIT_FAILED, "hook: HTTP 404 Not Found")
    assert check.hint == "Nothing is at this URL: correct it in the file that `url_file` names."


def test_failures_with_one_remedy_have_it_once_and_others_name_their_channel():
    same = FakeDelivery(a=answer(ok=False, status=401), b=answer(ok=False, status=403))
    assert checked(same, "a", "b").hint.count("token or password") == 1
    check = checked(FakeDelivery(a=answer(ok=False, status=401), b=answer(ok=False, status=None)), "a", "b", "c")
    assert check.text.splitlines()[2] == "c: it is not known"
    assert check.hint.startswith("a: The receiver refuses")
    assert " b, c: Check the URL in the file" in check.hint


def test_channel_files_that_cannot_be_read_fail_as_the_configuration_does():
    def read():
        raise ConfigError(["the file is readable by others"], "chmod 600.")

    (probe,) = ChannelProbes(read, FakeDelivery().opened).probes.values()
    check = asyncio.run(probe())
    assert (check.result, check.exit_code, check.hint) == ("fail", EXIT_CONFIG, "chmod 600.")


@pytest.mark.parametrize("names", [("phone",), ()])
def test_no_text_contains_a_url(names):
    assert "a-secret" not in repr(checked(FakeDelivery(), *names))
