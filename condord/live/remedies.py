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
FORBIDDEN_REMEDY = "permit it to this user of the NATS server; docs/examples/nats-server.conf has what each role needs"
"""What to do if the bus forbids something."""

LOOP_REMEDY = "let one of these relays follow the condord of the account, as cluster.source"
"""The remedy if relays follow each other in a loop."""

WORKER_REMEDY = "if it lasts, the daemon hangs or is stopped: see its log, and whether its process runs"
"""What to do if a worker cannot follow the daemon that it serves for."""
MAKER_REMEDY = "if it hangs, this ingester ends it, and one leads again within seconds"
"""What follows if a leader cannot follow its own daemon of the account."""

CAUSE_REMEDIES = (UNTRUSTED_REMEDY, LOOP_REMEDY, FORBIDDEN_REMEDY, WORKER_REMEDY, MAKER_REMEDY)
"""The remedies for losses whose cause is known, used instead of `LOST_REMEDIES`."""

WRITABLE = "check that the disk responds and has room, and that condord may write there"
"""What to do if a file cannot be written."""

NOT_A_DIRECTORY_REMEDY = "move that file away, or let STATE_DIRECTORY name a directory"
"""What to do if something that should be a directory is a file."""
FILE_SIZE_REMEDY = "raise that limit (LimitFSIZE= of the unit, ulimit -f of the shell), and restart"
"""What to do if the process may not write files as large as it needs."""
DISK_REMEDIES = (WRITABLE, NOT_A_DIRECTORY_REMEDY, FILE_SIZE_REMEDY)


def sentence(remedy: str) -> str:
    """Return the remedy as a sentence by itself; empty if there is none."""
    return f"{remedy[:1].upper()}{remedy[1:]}." if remedy else ""


def with_remedy(text: str, remedy: str) -> str:
    """Return `text` and `remedy` as one sentence, or only `text` if `remedy` is empty."""
    return f"{text}; {remedy}" if remedy else text


def split_remedy(sentence: str, remedies: Collection[str]) -> tuple[str, str]:
    """The text, and the one of `remedies` that ends the sentence, or an empty remedy if none does.

    Splitting at the semicolon is not enough, because both parts may contain one.
    """
    for remedy in remedies:
        text = sentence.removesuffix(f"; {remedy}")
        if text != sentence:
            return text, remedy
    return sentence, ""


def split_loss(reason: str, code: str | None, otherwise: str = "") -> tuple[str, str]:
    """Why a server cannot follow another one, and the remedy.

    The latter is about the cause if it is known, or else it is `otherwise`, or else about `code`.
    """
    text, remedy = split_remedy(reason, CAUSE_REMEDIES)
    return text, remedy or otherwise or LOST_REMEDIES.get(code or "", "")
