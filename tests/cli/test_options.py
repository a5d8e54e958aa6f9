import pytest
import typer
from typer.testing import CliRunner

from condord.cli import options


def given(*arguments):
    """What a command that has all of the options gets for `arguments`."""
    received = []
    app = typer.Typer(rich_markup_mode=None)

    @app.command()
    def command(
        config_file: options.ConfigFile = None, url: options.Url = None, *, as_json: options.AsJson = False
    ) -> None:
        received.append((config_file, url, as_json))

    outcome = CliRunner().invoke(app, list(arguments))
    return received[0] if received else outcome


def test_without_options_there_is_no_file_no_address_and_text():
    assert given() == (None, None, False)


def test_each_option_has_one_name(tmp_path):
    path = tmp_path / "condord.toml"
    assert given("--config", str(path), "--url", "http://a:1", "--json") == (path, "http://a:1", True)


def test_a_file_that_does_not_exist_or_is_not_readable_is_left_to_the_command(tmp_path):
    path = tmp_path / "secret.toml"
    assert given("--config", str(path))[0] == path
    path.touch(mode=0)
    assert given("--config", str(path))[0] == path


def test_an_option_without_its_value_is_a_usage_error():
    assert given("--config").exit_code == 2
    assert given("--url").exit_code == 2


@pytest.mark.parametrize(
    ("command", "shared"),
    [
        (("positions",), {"--json", "--url"}),
        (("stream",), {"--json", "--url"}),
        (("status",), {"--json", "--url"}),
        (("check",), {"--json", "--config"}),
        (("config", "show"), {"--json", "--config"}),
        (("config", "path"), {"--config"}),
        (("start",), {"--config"}),
    ],
    ids=lambda value: " ".join(sorted(value)),
)
def test_commands_that_do_the_same_take_the_same_options(condord, command, shared):
    text = condord(*command, "--help").out
    assert {name for name in ("--json", "--config", "--url") if f"{name} " in text or f"{name}\n" in text} == shared


def test_the_metavars_say_what_a_value_is(condord):
    assert "--config FILE" in condord("check", "--help").out
    assert "--url URL" in condord("status", "--help").out
