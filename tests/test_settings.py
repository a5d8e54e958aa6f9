import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.upstream.conftest  # noqa: F401 - imports alpaca-py without its warning

# isort: split
from condord import config as configuration
from condord import settings
from condord.config import Config

OTHER = {
    "alpaca.paper": False,
    "alpaca.feed": "opra",
    "alpaca.symbol_limit": 7,
    "alpaca.trading_url": "http://127.0.0.1:1",
    "alpaca.option_stream_url": "ws://127.0.0.1:1/x",
    "alpaca.key_id_file": "/k",
    "rest.threads": 2,
    "rest.breaker_failures": 9,
    "stream.window_ms": 500,
    "server.port": 1,
    "server.allowed_hosts": ("x.example",),
    "log.level": "debug",
}


def changed(*names, config=None):
    """A configuration in which these keys have other values."""
    config = config or Config()
    for name in names:
        section, _, key = name.partition(".")
        part = msgspec.structs.replace(getattr(config, section), **{key: OTHER[name]})
        config = msgspec.structs.replace(config, **{section: part})
    return config


def test_every_live_key_exists():
    assert {field.name for field in configuration.fields()} >= settings.LIVE_KEYS


def test_the_readme_has_each_key_where_a_running_daemon_takes_it():
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    rows = [row.split("|")[1:4] for row in readme.split("| section |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]]
    live, waiting = (
        [f"{row[0].strip(' `[]')}.{key}" for row in rows for key in re.findall(r"`([a-z_]+)`", row[column])]
        for column in (1, 2)
    )
    assert sorted(live) == sorted(settings.LIVE_KEYS)
    assert sorted([*live, *waiting]) == sorted(field.name for field in configuration.fields())


def test_what_differs_is_named_in_the_order_of_the_file():
    names = ["alpaca.feed", "rest.threads", "log.level"]
    assert settings.differing(Config(), changed(*reversed(names))) == names


@pytest.mark.parametrize("name", sorted(OTHER))
def test_a_live_key_is_taken_and_another_waits(name):
    took = settings.taken(Config(), changed(name))
    assert took == (changed(name) if name in settings.LIVE_KEYS else Config())


@pytest.mark.parametrize("name", ["alpaca.paper", "alpaca.trading_url"])
def test_where_the_account_waits_so_does_all_of_alpaca(name):
    new = changed(name, "alpaca.feed", "alpaca.key_id_file", "stream.window_ms", "rest.threads")
    took = settings.taken(Config(), new)
    assert took == changed("stream.window_ms")
    assert settings.differing(took, new) == sorted(
        [name, "alpaca.feed", "alpaca.key_id_file", "rest.threads"],
        key=[field.name for field in configuration.fields()].index,
    )


@given(st.sets(st.sampled_from(sorted(OTHER))), st.sets(st.sampled_from(sorted(OTHER))))
def test_every_key_is_the_old_or_the_new_and_giving_the_same_again_takes_nothing_more(before, after):
    old, new = changed(*before), changed(*after)
    took = settings.taken(old, new)
    assert not set(settings.differing(old, took)) & set(settings.differing(took, new))
    assert set(settings.differing(old, took)) <= settings.LIVE_KEYS
    assert settings.taken(took, new) == took


def test_the_option_stream_follows_the_feed_unless_its_url_is_named():
    assert settings.supervisor(Config()).option_stream_url.endswith("/v1beta1/indicative")
    assert settings.supervisor(changed("alpaca.feed")).option_stream_url.endswith("/v1beta1/opra")
    named = changed("alpaca.feed", "alpaca.option_stream_url")
    assert settings.supervisor(named).option_stream_url == OTHER["alpaca.option_stream_url"]


def test_the_trading_stream_follows_the_account():
    paper, live = settings.supervisor(Config()), settings.supervisor(changed("alpaca.paper"))
    assert "paper" in paper.trading_stream_url
    assert "paper" not in live.trading_stream_url


@pytest.mark.parametrize(
    ("names", "source"),
    [([], "alpaca-paper"), (["alpaca.paper"], "alpaca-live"), (["alpaca.trading_url"], "simulator")],
)
def test_the_source_is_the_account_or_a_simulator_on_this_machine(names, source):
    assert settings.source(changed(*names)) == source


def test_rest_is_told_what_is_configured():
    told = settings.rest(changed("alpaca.feed", "rest.threads", "rest.breaker_failures"))
    assert (told.paper, told.feed, told.threads, told.breaker_failures) == (True, "opra", 2, 9)
