"""What a start finds, without files: a configuration, a key and no faults, unless a test changes that."""

import contextlib
import logging

from condord.config.credentials import Credentials
from condord.config.schema import Config
from condord.config.sources import LoadedConfig
from condord.config.startup import Startup, StartupFindings
from condord.host.secret import Secret

HUSH = "hush"


def loaded(config=None, warnings=()):
    return LoadedConfig(config=config or Config(), path=None, origins={}, warnings=warnings)


def key(key_id="id", secret=HUSH):
    return Credentials(key_id=Secret(key_id), secret_key=Secret(secret), origin="environment")


def startup(config, key, token=None, warnings=(), channels=()):
    return Startup(loaded=loaded(config, warnings), key=key, token=token, channels=channels)


def found(**changes):
    defaults = {"loaded": loaded(), "key": key(), "token": None, "config_error": None, "key_error": None}
    return StartupFindings(**defaults | changes)


@contextlib.contextmanager
def restored_root_logger():
    """The root logger belongs to the whole interpreter, and `logs.configure` changes it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
