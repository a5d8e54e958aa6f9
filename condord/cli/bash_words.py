"""Complete words that contain a colon in bash: ids of alerts, and URLs.

Bash also splits the line at colons (COMP_WORDBREAKS), and replaces only what follows the last one. The script of typer
passes the pieces on. Here they are joined again, and what the line already has is removed from the answers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence


def joined(words: Sequence[str], current: int) -> tuple[list[str], int]:
    """Join the pieces of words with colons; return the words and the index of the current one."""
    joined_words: list[str] = []
    at, is_open = 0, False
    for index, word in enumerate(words):
        is_colon = bool(word) and not word.strip(":")
        if joined_words and word and (is_open or is_colon):
            joined_words[-1] += word
        else:
            joined_words.append(word)
        is_open = is_colon
        if index == current:
            at = len(joined_words) - 1
    return joined_words, at if current < len(words) else len(joined_words)


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of bash's completion with whole words."""
    words, at = joined(environ["COMP_WORDS"].split("\n"), int(environ["COMP_CWORD"]))
    return {"COMP_WORDS": "\n".join(words), "COMP_CWORD": str(at)}


def shortened(answers: str, environ: Mapping[str, str]) -> str:
    """Return the answers without the part before the last colon of the current word."""
    words, at = environ["COMP_WORDS"].split("\n"), int(environ["COMP_CWORD"])
    word = words[at] if at < len(words) else ""
    before = word[: word.rfind(":") + 1]
    return "\n".join(answer.removeprefix(before) for answer in answers.split("\n"))
