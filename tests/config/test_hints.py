from condord.config import hints


def test_a_single_hint_ends_with_its_command():
    assert hints.joined(["If you trust it: chmod 600 /a", "If you trust it: chmod 600 /a"]) == (
        "If you trust it: chmod 600 /a"
    )


def test_of_several_hints_each_is_there_once_and_commands_are_marked():
    assert hints.joined(["chmod 600 /a", "Correct it.", "chmod 600 /a", "Trust it: sudo chown 1 '/b c'"]) == (
        "`chmod 600 /a`. Correct it. Trust it: `sudo chown 1 '/b c'`."
    )
