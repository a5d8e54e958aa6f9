"""Decides whether a client has what it asks for, by `If-None-Match`, with the weak comparison of RFC 9110, 8.8.3.2."""

from __future__ import annotations

from starlette.datastructures import Headers


def is_known(headers: Headers, etag: str) -> bool:
    """Whether the client names `etag`, or has anything at all (`*`); strong and weak tags are the same here."""
    named = (tag.strip() for tag in ",".join(headers.getlist("if-none-match")).split(","))
    return not {etag.removeprefix("W/"), "*"}.isdisjoint(tag.removeprefix("W/") for tag in named)
