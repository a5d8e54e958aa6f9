import asyncio

import pytest

from condord.http.app import build
from condord.http.relays_header import RelaysHeader
from tests.http.fake_daemon import Conversation, FakeDaemon


@pytest.mark.parametrize("path", ["/api/positions", "/livez", "/nothing"])
def test_each_answer_names_the_relays(path):
    def ask(text):
        app = RelaysHeader(build(FakeDaemon()), lambda: text)
        return asyncio.run(Conversation(app, path).run())

    assert ask("a, b").headers["condord-relays"] == "a, b"
    assert "condord-relays" not in ask("").headers
