"""A failure as one sentence: what happened, and after a semicolon what to do about it."""

from __future__ import annotations

from collections.abc import Collection

LOST_REMEDIES = {
    "sourceLost": "if it lasts, check that the source runs and can be reached",
    "busLost": "if it lasts, check that the NATS servers run and can be reached",
    "leaderLost": "if it lasts, check that an ingester runs and can reach the bus",
}
"""What to do if a server cannot follow another one, by code."""


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
