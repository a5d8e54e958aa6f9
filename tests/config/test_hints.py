from condord.config import hints


def test_a_single_hint_ends_with_its_command():
    assert hints.joined(["If you trust it: chmod 600 /a", "If you trust it: chmod 600 /a"]) == (
        "If you trust it: chmod 600 /a"
    )


def test_joined_hints_have_each_hint_once_and_mark_commands():
    assert hints.joined(["chmod 600 /a", "Correct it.", "chmod 600 /a", "Trust it: sudo chown 1 '/b c'"]) == (
        "`chmod 600 /a`. Correct it. Trust it: `sudo chown 1 '/b c'`."
    )
