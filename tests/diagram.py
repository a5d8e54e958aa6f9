"""The diagram of a link in docs/architecture.md, drawn from its table."""

from collections import defaultdict

from condord.live.link import CLOSE_SECONDS, DEAD_SECONDS, HALT_SECONDS, PING_SECONDS, STEP_SECONDS, TABLE

DEADLINES = {
    "starting": "at once",
    "connecting": f"{STEP_SECONDS:g} s",
    "authenticating": f"{STEP_SECONDS:g} s",
    "subscribing": f"{STEP_SECONDS:g} s",
    "live": f"ping {PING_SECONDS:g} s, dead {DEAD_SECONDS:g} s, silent 60 s",
    "stale": f"ping {PING_SECONDS:g} s, dead {DEAD_SECONDS:g} s, silent 60 s",
    "closing": f"{CLOSE_SECONDS:g} s",
    "backingOff": "1 to 60 s",
    "halted": f"{HALT_SECONDS:g} s",
}
"""The deadline of each state with the default configuration."""


def diagram() -> str:
    """A Mermaid diagram: states with their deadlines; arrows with their events and, after a slash, their actions."""
    arrows = defaultdict(list)
    for (before, event), (after, actions) in TABLE.items():
        arrows[before, after, actions].append(event)
    lines = ["stateDiagram-v2", "    [*] --> starting"]
    lines += [f"    {state} : {state} ({deadline})" for state, deadline in DEADLINES.items()]
    for (before, after, actions), events in arrows.items():
        done = f" / {', '.join(actions)}" if actions else ""
        lines.append(f"    {before} --> {after} : {', '.join(events)}{done}")
    return "\n".join(lines)
