"""Convert variables named CONDORD_…, and warn about those that are not used.

Kubernetes sets variables in every pod for every service. For a service named condord-server it sets
CONDORD_SERVER_PORT=tcp://10.0.0.1:8420. That is the variable of the key server.port, but with an invalid value.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import get_origin

from condord.host import quoting

OTHERS = ("CONDORD_CONFIG", "CONDORD_TOKEN", "CONDORD_URL")
"""Variables that commands read in addition to the configuration's."""

_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_PREFIX = "CONDORD_"
_LIKENESS = 0.75
_HOST = "_SERVICE_HOST"
_LINK = re.compile(r"_SERVICE_(?:HOST|PORT(?:_\w+)?)|_PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_\w+)?)?")
_LINKED = re.compile(r"(?:tcp|udp|sctp)://")
_REMEDY = "set `enableServiceLinks: false` in the pod, or rename the service"


def typed(base: object, raw: str) -> object:
    """The value of `raw` as the type `base`, or `raw` itself if it cannot be converted.

    A list is separated by commas, and so is a table of numbers, `SPX=0.012,XSP=0.012`.
    """
    if get_origin(base) is tuple:
        return _parts(raw)
    if get_origin(base) is dict:
        return _table(raw)
    if base is bool:
        return _TRUTH.get(raw.lower(), raw)
    try:
        if base is int:
            return int(raw)
        return float(raw) if base is float else raw
    except ValueError:
        return raw


def _parts(raw: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in raw.split(",") if part.strip())


def _table(raw: str) -> object:
    """The numbers by name; `raw` itself if a part of it is not a number with a name, or a name is there twice."""
    pairs = [part.partition("=") for part in _parts(raw)]
    try:
        numbers = {name.strip(): float(number) for name, _, number in pairs}
    except ValueError:
        return raw
    return numbers if len(numbers) == len(pairs) else raw


def unread(environ: Mapping[str, str], known: Collection[str]) -> tuple[str, ...]:
    """A warning for each variable that is neither in `known` nor in `OTHERS`; one for all variables of a service."""
    names = sorted(name for name in environ if name.startswith(_PREFIX) and name not in known and name not in OTHERS)
    services = [name.removesuffix(_HOST) for name in names if name.endswith(_HOST)]
    by_service: dict[str, list[str]] = {}
    for name in names:
        by_service.setdefault(_service(name, services), []).append(name)
    others = by_service.pop("", [])
    return (
        *(_service_warning(service, names) for service, names in by_service.items()),
        *(_warning(name, known) for name in others),
    )


def link_hint(name: str, value: str) -> str:
    """A hint for a variable whose value only Kubernetes writes; empty for any other."""
    if not _LINKED.match(value):
        return ""
    return f"Kubernetes sets {name} for a service named {_dashed(name.removesuffix('_PORT'))}: {_REMEDY}."


def _service(name: str, services: Iterable[str]) -> str:
    """The service in `services` (spelled as in variables) that the variable belongs to, or an empty text."""
    owners = (service for service in services if name.startswith(service) and _LINK.fullmatch(name, len(service)))
    return max(owners, key=len, default="")


def _service_warning(service: str, names: Iterable[str]) -> str:
    first, *others = (quoting.short(name) for name in names)
    unused = f"{first} and {len(others)} more are" if others else f"{first} is"
    return f"{unused} not used: set by Kubernetes for a service named {_dashed(service)}; {_REMEDY}"


def _dashed(service: str) -> str:
    return quoting.short(service.lower().replace("_", "-"))


def _warning(name: str, known: Collection[str]) -> str:
    near = _nearest(name, known)
    meant = f"; the nearest known variable is {near}" if near else ""
    return f"{quoting.short(name)} is not used: condord has no such variable{meant}"


def _nearest(name: str, known: Collection[str]) -> str:
    """The known variable most like `name`, with or without its section."""
    from difflib import SequenceMatcher  # 9 ms, only for an unknown name

    letters = _letters(name)[: quoting.SHOWN]
    likeness = {
        variable: max(SequenceMatcher(None, letters, form).ratio() for form in _forms(variable))
        for variable in (*known, *OTHERS)
    }
    best = max(likeness, key=lambda variable: likeness[variable])
    return best if likeness[best] >= _LIKENESS else ""


def _forms(variable: str) -> Iterator[str]:
    yield _letters(variable)
    if variable not in OTHERS:
        _, _, key = variable.removeprefix(_PREFIX).partition("_")
        yield _letters(key)


def _letters(name: str) -> str:
    return name.removeprefix(_PREFIX).replace("_", "").upper()
