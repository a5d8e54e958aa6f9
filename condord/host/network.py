"""Proxies and trusted certificates from the environment, the same for REST and all streams.

requests and websockets would read the environment differently. Only requests knows REQUESTS_CA_BUNDLE, ALL_PROXY, CIDR
in NO_PROXY and proxies without a scheme; only websockets knows SSL_CERT_FILE. So neither reads it. The system's
certificates are trusted, and those of REQUESTS_CA_BUNDLE (or CURL_CA_BUNDLE), SSL_CERT_FILE and SSL_CERT_DIR. A proxy
is used only for TLS, by CONNECT, so that it never sees a key. URLs without TLS are on loopback, and are connected to
directly.
"""

from __future__ import annotations

import functools
import ipaddress
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from condord.errors import ConfigError
from condord.host import quoting

_SECURE = frozenset({"https", "wss"})
_SCHEMES = ("http", "https", "socks5h", "socks5", "socks4a", "socks4")
_PROXY_NAMES = ("https_proxy", "all_proxy")
_PROXY_HINT = "Set it to http://host:port, or unset it. NO_PROXY lists hosts that are connected to directly."
_CERTIFICATE_HINT = "Name a readable PEM file (or a directory made by `openssl rehash`), or unset the variable."


class Proxy(NamedTuple):
    """A proxy and the environment variable that names it; `url` has a scheme, and may contain a password."""

    url: str
    variable: str

    @property
    def address(self) -> str:
        """The proxy's host and port, without the password."""
        return urlsplit(self.url).netloc.rpartition("@")[2]


class Network:
    """The network settings of `environ`. Certificates are not read from disk before TLS is needed."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def proxy(self, url: str) -> Proxy | None:
        """The proxy for `url` (http, https, ws or wss); None if it is connected to directly.

        Raises:
            ConfigError: the variable that applies is not the URL of a proxy.
        """
        parts = urlsplit(url)
        if parts.scheme not in _SECURE or self._is_exempt(parts):
            return None
        for name in _PROXY_NAMES:
            variable, value = self._variable(name)
            if value:
                return Proxy(_proxy_url(variable, value), variable)
        return None

    @functools.cached_property
    def context(self) -> ssl.SSLContext:
        """The trust store for every TLS connection.

        Raises:
            ConfigError: the certificates that a variable names cannot be read.
        """
        system = _system_certificates()
        file, directory = next(iter(system.files), None), next(iter(system.directories), None)
        context = ssl.create_default_context(cafile=file, capath=directory)
        for variable, path in self._named_certificates():
            _load(context, variable, path)
        context.set_alpn_protocols(["http/1.1"])
        return context

    @property
    def certificate_sources(self) -> str:
        """The source of the trusted certificates, for people."""
        named = [f"{variable} ({path})" for variable, path in self._named_certificates()]
        return ", ".join([_system_certificates().name, *named])

    def check(self, urls: Iterable[str]) -> None:
        """Check the settings that `urls` need.

        Raises:
            ConfigError: with every fault, one line each.
        """
        faults: dict[str, str] = {}
        for url in urls:
            if urlsplit(url).scheme in _SECURE:
                for read in (lambda: self.context, functools.partial(self.proxy, url)):
                    try:
                        read()
                    except ConfigError as error:
                        faults |= dict.fromkeys(error.faults, error.hint)
        if faults:
            raise ConfigError(tuple(faults), " ".join(dict.fromkeys(faults.values())))

    def _variable(self, name: str) -> tuple[str, str]:
        """The variable for `name` and its value; lower case wins, as in curl and requests."""
        variable = name if name in self._environ else name.upper()
        return variable, self._environ.get(variable, "").strip()

    def _is_exempt(self, parts: SplitResult) -> bool:
        """Whether NO_PROXY covers the host: by its name or a parent domain, an address, a network, or `*`."""
        host = (parts.hostname or "").rstrip(".")
        port = parts.port or 443
        entries = self._variable("no_proxy")[1].replace(",", " ").lower().split()
        return any(entry == "*" or _covers(entry, host, port) for entry in entries)

    def _named_certificates(self) -> list[tuple[str, str]]:
        """The variables that name certificates, each with a path."""
        bundle = next((name for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE") if self._environ.get(name)), None)
        names = [name for name in (bundle, "SSL_CERT_FILE") if name is not None and self._environ.get(name)]
        found = [(name, self._environ[name]) for name in names]
        directories = self._environ.get("SSL_CERT_DIR", "").split(":")
        return found + [("SSL_CERT_DIR", directory) for directory in directories if directory]


class _SystemCertificates(NamedTuple):
    name: str
    files: tuple[str, ...]
    directories: tuple[str, ...]


def _system_certificates() -> _SystemCertificates:
    """The system's certificates; if it has none, as in slim containers, the ones of the package requests."""
    paths = ssl.get_default_verify_paths()
    files = tuple(path for path in (paths.openssl_cafile,) if path and Path(path).is_file())
    directories = tuple(path for path in (paths.openssl_capath,) if path and _has_files(Path(path)))
    if files or directories:
        return _SystemCertificates("the system's certificates", files, directories)
    from requests.utils import DEFAULT_CA_BUNDLE_PATH  # only where the system has no store

    name = "the certificates of the package certifi, as the system has none"
    return _SystemCertificates(name, (DEFAULT_CA_BUNDLE_PATH,), ())


def _has_files(directory: Path) -> bool:
    try:
        return any(directory.iterdir())
    except OSError:
        return False


def _load(context: ssl.SSLContext, variable: str, path: str) -> None:
    try:
        if Path(path).is_dir():
            context.load_verify_locations(capath=path)
            return
        if variable == "SSL_CERT_DIR":
            raise _certificate_error(variable, path, "it is not a directory")
        context.load_verify_locations(cafile=path)
    except ssl.SSLError as error:  # before OSError, its base: strerror would be OpenSSL's text
        raise _certificate_error(variable, path, "it contains no certificates") from error
    except OSError as error:
        raise _certificate_error(variable, path, error.strerror or "it cannot be read") from error


def _certificate_error(variable: str, path: str, reason: str) -> ConfigError:
    return ConfigError([f"environment {variable} = {quoting.short(repr(path))}: {reason}"], _CERTIFICATE_HINT)


def _covers(entry: str, host: str, port: int) -> bool:
    network = _network(entry)
    if network is not None:
        address = _address(host)
        return address is not None and address in network
    name, _, only_port = entry.removeprefix("*").lstrip(".").partition(":")
    if only_port and only_port != str(port):
        return False
    return bool(name) and (host == name or host.endswith(f".{name}"))


def _network(entry: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _proxy_url(variable: str, value: str) -> str:
    """The proxy in a form that both libraries read alike: with a scheme, and with a password if there is a user."""
    url = value if "://" in value else f"http://{value}"
    try:
        parts = urlsplit(url)
        is_proxy = bool(parts.hostname) and parts.scheme in _SCHEMES and parts.port != 0
    except ValueError:  # the port is not a number, or the brackets contain no address
        is_proxy = False
    if not is_proxy or parts.path.strip("/") or parts.query or parts.fragment or not url.isprintable() or " " in url:
        shown = f"***@{value.rpartition('@')[2]}" if "@" in value else value
        fault = f"environment {variable} = {quoting.value('proxy', shown)}: must be http://host:port"
        raise ConfigError([fault], _PROXY_HINT)
    user, at, address = parts.netloc.rpartition("@")
    return f"{parts.scheme}://{user if ':' in user or not at else f'{user}:'}{at}{address}"
