import datetime as dt
import re
import zoneinfo
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tests.upstream.conftest  # noqa: F401 - imports alpaca-py without its warning

# isort: split
from condord.config import schema as configuration
from condord.config.schema import Config
from condord.core.cutoffs import CutoffSettings
from condord.core.model.assumptions import Assumptions
from condord.core.rules.built_in import BUILT_IN
from condord.daemon import wiring
from condord.errors import ConfigError
from condord.host.secret import Secret
from condord.live.risks import RiskSettings
from condord.live.wire_condor import ExitsJson
from condord.live.wire_risk import ModelJson
from condord.notify.channel import Channel, Quiet
from tests.core.strategies import condor_holdings, only_condor

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


def test_every_setting_of_the_parts_is_the_key_of_the_same_name():
    config = changed("alpaca.feed", "alpaca.symbol_limit", "rest.threads", "rest.breaker_failures", "server.port")
    keys = {field.key: getattr(getattr(config, field.section), field.key) for field in configuration.fields()}
    derived = {"source", "option_stream_url", "trading_stream_url", "stock_stream_url", "model"}
    for settings in (wiring.rest(config), wiring.supervisor(config), wiring.address(config)):
        for name in set(settings.__struct_fields__) - derived:
            assert getattr(settings, name) == keys[name]


def test_the_docs_have_each_key_where_a_running_daemon_takes_it():
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    rows = [row.split("|")[1:4] for row in page.split("| section |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]]
    live, waiting = (
        [f"{row[0].strip(' `[]')}.{key}" for row in rows for key in re.findall(r"`([a-z_]+)`", row[column])]
        for column in (1, 2)
    )
    assert sorted(live) == sorted(wiring.LIVE_KEYS - configuration.TABLES.keys())
    assert sorted([*live, *waiting]) == sorted(field.name for field in configuration.fields())
    assert [row[0].strip(" `[]") for row in rows if row[1].strip() == "all"] == list(configuration.TABLES)


def test_what_differs_is_named_in_the_order_of_the_file():
    names = ["alpaca.feed", "rest.threads", "model.dividend_yield", "log.level", "dividend", "alert", "notify"]
    assert wiring.differing(Config(), changed(*reversed(names))) == names


@pytest.mark.parametrize("name", sorted(OTHER))
def test_a_live_key_is_applied_and_another_one_waits(name):
    took = wiring.taken(Config(), changed(name))
    assert took == (changed(name) if name in wiring.LIVE_KEYS else Config())


@pytest.mark.parametrize("name", ["alpaca.paper", "alpaca.trading_url"])
def test_while_the_account_waits_so_does_all_of_alpaca(name):
    new = changed(name, "alpaca.feed", "alpaca.key_id_file", "stream.window_ms", "rest.threads")
    took = wiring.taken(Config(), new)
    assert took == changed("stream.window_ms")
    assert wiring.differing(took, new) == sorted(
        [name, "alpaca.feed", "alpaca.key_id_file", "rest.threads"],
        key=[field.name for field in configuration.fields()].index,
    )


@given(st.sets(st.sampled_from(sorted(OTHER))), st.sets(st.sampled_from(sorted(OTHER))))
def test_every_key_is_old_or_new_and_a_second_reload_changes_nothing(before, after):
    old, new = changed(*before), changed(*after)
    took = wiring.taken(old, new)
    assert not set(wiring.differing(old, took)) & set(wiring.differing(took, new))
    assert set(wiring.differing(old, took)) <= wiring.LIVE_KEYS
    assert wiring.taken(took, new) == took


def test_the_option_stream_follows_the_feed_unless_its_url_is_named():
    assert wiring.supervisor(Config()).option_stream_url.endswith("/v1beta1/indicative")
    assert wiring.supervisor(changed("alpaca.feed")).option_stream_url.endswith("/v1beta1/opra")
    named = changed("alpaca.feed", "alpaca.option_stream_url")
    assert wiring.supervisor(named).option_stream_url == OTHER["alpaca.option_stream_url"]


def test_the_stock_stream_follows_its_feed_unless_its_url_is_named():
    assert wiring.supervisor(Config()).stock_stream_url.endswith("/v2/iex")
    assert wiring.supervisor(changed("alpaca.stock_feed")).stock_stream_url.endswith("/v2/sip")
    named = changed("alpaca.stock_feed", "alpaca.stock_stream_url")
    assert wiring.supervisor(named).stock_stream_url == OTHER["alpaca.stock_stream_url"]
    assert wiring.urls(named)[-1] == OTHER["alpaca.stock_stream_url"]


def test_the_stock_stream_is_at_the_host_of_a_named_option_stream():
    named = changed("alpaca.option_stream_url")
    assert wiring.supervisor(named).stock_stream_url == "ws://127.0.0.1:1/v2/iex"


def test_without_a_configuration_the_defaults_are_those_of_the_parts():
    assert wiring.assumptions(Config()) == Assumptions()
    assert wiring.risks(Config()) == RiskSettings()
    assert wiring.cutoffs(Config()) == CutoffSettings()
    assert wiring.dividends(Config()) == ()


def test_the_model_and_the_cutoffs_get_what_is_configured():
    config = changed("model.rate", "model.dividend_yield", "expiry.etfs", "expiry.liquidation_minutes")
    risks = wiring.risks(config)
    assert (risks.assumptions, risks.interval_seconds) == (wiring.assumptions(config), config.model.interval_seconds)
    assert wiring.assumptions(config) == Assumptions(rate=-0.01, dividend_yields={"NDX": 0.007})
    assert wiring.supervisor(config).model == ModelJson(rate=-0.01, dividend_yields={"NDX": 0.007})
    assert wiring.cutoffs(config) == CutoffSettings(etfs=frozenset({"SPY"}), liquidation_minutes=60)


def test_dividends_are_sorted_by_date_and_exact_to_a_millionth_of_a_dollar():
    named = [("SPY", 18, 1.97), ("QQQ", 18, 0.000001), ("XLF", 4, 0.0)]
    config = Config(
        dividend=tuple(
            configuration.NamedDividend(symbol=symbol, date=dt.date(2026, 12, day), amount=amount)
            for symbol, day, amount in named
        )
    )
    found = [(each.symbol, each.ex_date.day, each.amount_e6, each.source) for each in wiring.dividends(config)]
    assert found == [("XLF", 4, 0, "config"), ("QQQ", 18, 1, "config"), ("SPY", 18, 1_970_000, "config")]


def test_the_trading_stream_follows_the_account():
    paper, live = wiring.supervisor(Config()), wiring.supervisor(changed("alpaca.paper"))
    assert "paper" in paper.trading_stream_url
    assert "paper" not in live.trading_stream_url


@pytest.mark.parametrize(
    ("names", "source"),
    [([], "alpaca-paper"), (["alpaca.paper"], "alpaca-live"), (["alpaca.trading_url"], "simulator")],
)
def test_the_source_is_the_account_or_a_simulator_on_this_machine(names, source):
    assert wiring.source(changed(*names)) == source


def test_rest_gets_what_is_configured():
    settings = wiring.rest(changed("alpaca.feed", "rest.threads", "rest.breaker_failures"))
    assert (settings.paper, settings.feed, settings.threads, settings.breaker_failures) == (True, "opra", 2, 9)


def test_the_rules_are_the_built_in_ones_as_the_configuration_changes_them():
    assert wiring.alert_rules(Config()) == BUILT_IN
    disabled = configuration.AlertTable(name="blind", enabled=False)
    table = wiring.alert_rules(Config(alert=(*OTHER["alert"], disabled)))
    assert [rule.name for rule in table] == [*(rule.name for rule in BUILT_IN), "half"]
    assert [rule.name for rule in table if not rule.enabled] == ["blind"]


def channel(path, **keys):
    return configuration.ChannelTable(**{"name": "hook", "type": "webhook", "url_file": str(path)} | keys)


def test_channels_have_their_url_and_key_and_quiet_hours(tmp_path):
    for name, text in (("url", "https://example.org/x\n"), ("key", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o600)
    keys = {"secret_file": "key", "min_severity": "critical", "quiet": "22:00-08:00 Europe/Berlin"}
    config = Config(notify=(channel(tmp_path / "url"), channel("url", name="b", **keys)))
    first, second = wiring.channels(config, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert first == Channel(name="hook", type="webhook", url=Secret("https://example.org/x"))
    quiet = Quiet(begin=dt.time(22), end=dt.time(8), zone=zoneinfo.ZoneInfo("Europe/Berlin"))
    assert (second.name, second.url, second.quiet, second.min_severity) == ("b", first.url, quiet, "critical")
    assert second.signing_key.reveal() == "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_unusable_files_of_channels_are_reported_together(tmp_path):
    with pytest.raises(ConfigError) as caught:
        wiring.channels(Config(notify=(channel(tmp_path / "a"), channel(tmp_path / "b", name="b"))), {})
    assert [fault.split(" ", 1)[1] for fault in caught.value.faults] == [
        f"(notify[{index}].url_file) cannot be read: No such file or directory" for index in (0, 1)
    ]
    assert caught.value.hint


def test_the_exits_of_a_condor_follow_the_rules_of_the_configuration():
    condor = only_condor(condor_holdings((560, 570, 630, 640), ("1.21", "2.4", "2.3", "1.14")))
    target = wiring.exits(Config())(condor).target
    tables = (configuration.AlertTable(name="profit-target", when="percentOfMaxProfit >= 25", clear=()),)
    lower = wiring.exits(Config(alert=tables))(condor).target
    off = tuple(configuration.AlertTable(name=rule.name, enabled=False) for rule in BUILT_IN)
    assert 0 < lower < target
    assert wiring.exits(Config(alert=off))(condor) == ExitsJson()
