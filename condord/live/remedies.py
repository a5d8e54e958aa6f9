"""A failure as one sentence: what happened, and after a semicolon what to do about it."""

from __future__ import annotations

from collections.abc import Collection

LOST_REMEDIES = {
    "sourceLost": "if it lasts, check that the source runs and can be reached",
    "busLost": "if it lasts, check that the NATS servers run and can be reached",
    "leaderLost": "if it lasts, see the logs of the ingesters: one of them has to reach the bus and to lead",
}
"""What to do if a server cannot follow another one, by code."""
UNTRUSTED_REMEDY = "let SSL_CERT_FILE name a file with the certificate of its authority"
"""What to do if the certificate of another server, or of the bus, is not trusted."""

WRITABLE = "check that the disk responds and has room, and that condord may write there"
"""What to do if a file cannot be written."""


def sentence(remedy: str) -> str:
    """Return the remedy as a sentence by itself."""
    return f"{remedy[:1].upper()}{remedy[1:]}."


def with_remedy(text: str, remedy: str) -> str:
    """Return `text` and `remedy` as one sentence, or only `text` if `remedy` is empty."""
    return f"{text}; {remedy}" if remedy else text


def split_remedy(sentence: str, remedies: Collection[str]) -> tuple[str, str]:
    """What happened, and the one of `remedies` that ends the sentence, or an empty remedy if none does.

    Splitting at the semicolon is not enough, because both parts may contain one.
    """
    for remedy in remedies:
        text = sentence.removesuffix(f"; {remedy}")
        if text != sentence:
            return text, remedy
    return sentence, ""
