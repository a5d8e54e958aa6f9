"""Compare ETags with `If-None-Match`, by the weak comparison of RFC 9110, 8.8.3.2."""

from __future__ import annotations

from starlette.datastructures import Headers


def is_known(headers: Headers, etag: str) -> bool:
    """Whether `If-None-Match` lists `etag`, weak or strong, or is `*`."""
    listed = (tag.strip() for tag in ",".join(headers.getlist("if-none-match")).split(","))
    return not {etag.removeprefix("W/"), "*"}.isdisjoint(tag.removeprefix("W/") for tag in listed)
