"""Derive the settings of the daemon's parts from the configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec

from condord.config import channel_files, quiet_hours
from condord.config.channel_files import ChannelSecrets
from condord.config.schema import Config
from condord.core.condor import Condor
from condord.core.cutoffs import CutoffSettings
from condord.core.dividend import Dividend
from condord.core.model.assumptions import Assumptions
from condord.core.rules import table
from condord.core.rules.exits import exits as exits_of
from condord.core.rules.rule import Rule
from condord.daemon import account_source
from condord.errors import ConfigError
from condord.live.risks import RiskSettings
from condord.live.wire_condor import ExitsJson
from condord.live.wire_risk import ModelJson
from condord.live.wire_values import dollars_or_none
from condord.notify.channel import Channel, ChannelQuietHours
from condord.upstream import addresses, reachability
from condord.upstream.interfaces import Login
from condord.upstream.rest import RestSettings
from condord.upstream.supervisor_settings import SupervisorSettings

Settings = TypeVar("Settings", bound=msgspec.Struct)


def slot(config: Config, login: Login) -> dict[str, str]:
    """The arguments of `Locks.take` for this key on this option stream, which only one daemon may use."""
    return {"key_id": login.key_id, "stream_url": supervisor(config).option_stream_url}


def urls(config: Config) -> tuple[str, ...]:
    """Every Alpaca URL that is used: REST for the account and for market data, then the streams."""
    alpaca, streams = config.alpaca, supervisor(config)
    rest_urls = reachability.rest_urls(paper=alpaca.paper, trading_url=alpaca.trading_url, data_url=alpaca.data_url)
    return (*rest_urls, streams.option_stream_url, streams.trading_stream_url, streams.stock_stream_url)


def rest(config: Config) -> RestSettings:
    """The settings of REST."""
    return _derived(RestSettings, config.alpaca, config.rest)


def supervisor(config: Config) -> SupervisorSettings:
    """The settings of the supervisor; empty URLs of streams are replaced by Alpaca's.

    If only the option stream's URL is set, the stock stream is at the same host, as at Alpaca. So the key is never sent
    to a host that the configuration does not name.
    """
    alpaca = config.alpaca
    stock_stream_url = addresses.stock_stream(alpaca.stock_feed)
    if alpaca.option_stream_url:
        named = urlsplit(alpaca.option_stream_url)
        stock_stream_url = urlsplit(stock_stream_url)._replace(scheme=named.scheme, netloc=named.netloc).geturl()
    return _derived(
        SupervisorSettings,
        alpaca,
        config.rest,
        config.stream,
        config.history,
        source=account_source.source(config),
        model=model(config),
        option_stream_url=alpaca.option_stream_url or addresses.option_stream(alpaca.feed),
        trading_stream_url=alpaca.trading_stream_url or addresses.trading_stream(paper=alpaca.paper),
        stock_stream_url=alpaca.stock_stream_url or stock_stream_url,
    )


def risks(config: Config) -> RiskSettings:
    """The settings of risk figures: the assumptions, and how often figures are published."""
    return RiskSettings(assumptions=assumptions(config), interval_seconds=config.model.interval_seconds)


def assumptions(config: Config) -> Assumptions:
    """The assumptions of the model."""
    return Assumptions(rate=config.model.rate, dividend_yields=config.model.dividend_yield)


def model(config: Config) -> ModelJson:
    """The assumptions of the model, as the status shows them."""
    return ModelJson(rate=config.model.rate, dividend_yields=config.model.dividend_yield)


def dividends(config: Config) -> tuple[Dividend, ...]:
    """The dividends of the configuration, oldest first; an amount of 0 only removes Alpaca's of that date."""
    named = sorted(config.dividend, key=lambda each: (each.date, each.symbol))
    return tuple(
        Dividend(symbol=each.symbol, ex_date=each.date, amount_e6=round(each.amount * 1_000_000), source="config")
        for each in named
    )


def cutoffs(config: Config) -> CutoffSettings:
    """Alpaca's cut-offs on the last trading day."""
    return _derived(CutoffSettings, config.expiry, etfs=frozenset(config.expiry.etfs))


def alert_rules(config: Config) -> tuple[Rule, ...]:
    """Every alert rule, enabled or not: the built-in ones as the configuration changes them, then its own."""
    return table.rules(config.alert)


def exits(config: Config) -> Callable[[Condor], ExitsJson]:
    """Return a function that returns the profit and loss at which the rules in force would end a condor."""
    in_force = alert_rules(config)

    def of(condor: Condor) -> ExitsJson:
        found = exits_of(in_force, condor)
        return ExitsJson(target=dollars_or_none(found.target_e4), stop=dollars_or_none(found.stop_e4))

    return of


def read_channels(config: Config, environ: Mapping[str, str]) -> tuple[Channel, ...]:
    """The channels of the configuration, with their URLs and signing keys read from their files.

    Raises:
        ConfigError: with all faults of the files, one line each.
    """
    found = channel_files.read(config.notify, environ)
    if found.faults:
        raise ConfigError([fault.text for fault in found.faults], found.hint)
    return channels(config, found.files)


def channels(config: Config, secrets: Sequence[ChannelSecrets]) -> tuple[Channel, ...]:
    """The channels of the configuration, with the contents of their files, which are in the same order."""
    return tuple(
        Channel(
            name=each.name,
            type=each.type,
            url=files.url,
            signing_key=files.signing_key,
            min_severity=each.min_severity,
            quiet=ChannelQuietHours(**quiet_hours.parse(each.quiet)._asdict()) if each.quiet else None,
        )
        for each, files in zip(config.notify, secrets, strict=True)
    )


def _derived(kind: type[Settings], *sections: msgspec.Struct, **known: object) -> Settings:
    """A `kind` with the values of `known`; its other fields have the values of the keys with the same names."""
    values = {key: getattr(section, key) for section in sections for key in section.__struct_fields__}
    return kind(**{name: value for name, value in (values | known).items() if name in kind.__struct_fields__})
