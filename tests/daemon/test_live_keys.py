import datetime as dt
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from condord.config import schema as configuration
from condord.config.schema import Config
from condord.daemon import live_keys

OTHER = {
    "alpaca.paper": False,
    "alpaca.feed": "opra",
    "alpaca.symbol_limit": 7,
    "alpaca.stock_feed": "sip",
    "alpaca.stock_symbol_limit": 9,
    "alpaca.stock_stream_url": "ws://127.0.0.1:1/y",
    "alpaca.trading_url": "http://127.0.0.1:1",
    "alpaca.option_stream_url": "ws://127.0.0.1:1/x",
    "alpaca.key_id_file": "/k",
    "rest.threads": 2,
    "rest.breaker_failures": 9,
    "stream.window_ms": 500,
    "model.rate": -0.01,
    "model.dividend_yield": {"NDX": 0.007},
    "expiry.etfs": ("SPY",),
    "expiry.liquidation_minutes": 60,
    "server.port": 1,
    "server.allowed_hosts": ("x.example",),
    "log.level": "debug",
    "dividend": (configuration.NamedDividend(symbol="SPY", date=dt.date(2026, 12, 18), amount=1.97),),
    "alert": (configuration.AlertTable(name="half", when="percentOfMaxProfit >= 50"),),
    "notify": (configuration.ChannelTable(name="hook", type="webhook", url_file="/none"),),
}


def changed(*names, config=None):
    """A configuration in which these keys have other values."""
    config = config or Config()
    for name in names:
        section, _, key = name.partition(".")
        part = msgspec.structs.replace(getattr(config, section), **{key: OTHER[name]}) if key else OTHER[name]
        config = msgspec.structs.replace(config, **{section: part})
    return config


def test_the_docs_list_each_key_under_how_a_running_daemon_applies_it():
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    rows = [row.split("|")[1:4] for row in page.split("| section |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]]
    live, waiting = (
        [f"{row[0].strip(' `[]')}.{key}" for row in rows for key in re.findall(r"`([a-z_]+)`", row[column])]
        for column in (1, 2)
    )
    assert sorted(live) == sorted(live_keys.LIVE_KEYS - configuration.TABLES.keys())
    assert sorted([*live, *waiting]) == sorted(field.name for field in configuration.fields())
    assert [row[0].strip(" `[]") for row in rows if row[1].strip() == "all"] == list(configuration.TABLES)


def test_keys_that_differ_are_named_in_the_order_of_the_file():
    names = ["alpaca.feed", "rest.threads", "model.dividend_yield", "log.level", "dividend", "alert", "notify"]
    assert live_keys.differing(Config(), changed(*reversed(names))) == names


@pytest.mark.parametrize("name", sorted(OTHER))
def test_a_live_key_is_applied_and_another_one_waits(name):
    took = live_keys.taken(Config(), changed(name))
    assert took == (changed(name) if name in live_keys.LIVE_KEYS else Config())


@pytest.mark.parametrize("name", ["alpaca.paper", "alpaca.trading_url"])
def test_while_another_account_waits_for_a_restart_so_do_all_keys_of_alpaca(name):
    new = changed(name, "alpaca.feed", "alpaca.key_id_file", "stream.window_ms", "rest.threads")
    took = live_keys.taken(Config(), new)
    assert took == changed("stream.window_ms")
    assert live_keys.differing(took, new) == sorted(
        [name, "alpaca.feed", "alpaca.key_id_file", "rest.threads"],
        key=[field.name for field in configuration.fields()].index,
    )


@given(st.sets(st.sampled_from(sorted(OTHER))), st.sets(st.sampled_from(sorted(OTHER))))
def test_every_key_is_old_or_new_and_a_second_reload_changes_nothing(before, after):
    old, new = changed(*before), changed(*after)
    took = live_keys.taken(old, new)
    assert not set(live_keys.differing(old, took)) & set(live_keys.differing(took, new))
    assert set(live_keys.differing(old, took)) <= live_keys.LIVE_KEYS
    assert live_keys.taken(took, new) == took
