"""A machine to check for each test that asks for one, without the proxies of the person who runs the tests."""

import os

import pytest

from tests.check.machine import Machine
from tests.fakes.startup import restored_root_logger


@pytest.fixture
def machine(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    with restored_root_logger():
        yield Machine(tmp_path)
