"""Security headers: what a browser may do with an answer, and what the page may load."""

from __future__ import annotations

from collections.abc import Iterable

RawHeaders = list[tuple[bytes, bytes]]

PROTECTION = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    # It applies only to requests without CORS, so a page of an allowed origin can still read what it fetches.
    (b"cross-origin-resource-policy", b"same-origin"),
)
_PAGE_POLICY = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE_PROTECTION = (
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"content-security-policy", _PAGE_POLICY),
)


def protected(headers: Iterable[tuple[bytes, bytes]]) -> RawHeaders:
    """`headers` followed by the security headers that they do not set themselves."""
    present = dict(headers := [*headers])
    is_page = present.get(b"content-type", b"").startswith(b"text/html")
    wanted = (*PROTECTION, *PAGE_PROTECTION) if is_page else PROTECTION
    return headers + [(name, value) for name, value in wanted if name not in present]
