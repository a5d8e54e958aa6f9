import datetime as dt
import zoneinfo

import pytest

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
from condord.notify.channel import Channel, ChannelQuietHours
from tests.core.strategies import condor_holdings, only_condor
from tests.daemon.test_live_keys import OTHER, changed


def test_every_setting_of_the_parts_is_the_key_of_the_same_name():
    config = changed("alpaca.feed", "alpaca.symbol_limit", "rest.threads", "rest.breaker_failures")
    keys = {field.key: getattr(getattr(config, field.section), field.key) for field in configuration.fields()}
    derived = {"source", "option_stream_url", "trading_stream_url", "stock_stream_url", "model"}
    for settings in (wiring.rest(config), wiring.supervisor(config)):
        for name in set(settings.__struct_fields__) - derived:
            assert getattr(settings, name) == keys[name]


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


def test_default_settings_match_the_defaults_of_the_parts():
    assert wiring.assumptions(Config()) == Assumptions()
    assert wiring.risks(Config()) == RiskSettings()
    assert wiring.cutoffs(Config()) == CutoffSettings()
    assert wiring.dividends(Config()) == ()


def test_the_model_and_the_cutoffs_get_their_configured_values():
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


def test_rest_gets_its_configured_values():
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
    first, second = wiring.read_channels(config, {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert first == Channel(name="hook", type="webhook", url=Secret("https://example.org/x"))
    quiet = ChannelQuietHours(begin=dt.time(22), end=dt.time(8), zone=zoneinfo.ZoneInfo("Europe/Berlin"))
    assert (second.name, second.url, second.quiet, second.min_severity) == ("b", first.url, quiet, "critical")
    assert second.signing_key.reveal() == "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_unusable_files_of_channels_are_reported_together(tmp_path):
    with pytest.raises(ConfigError) as caught:
        wiring.read_channels(Config(notify=(channel(tmp_path / "a"), channel(tmp_path / "b", name="b"))), {})
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
