import pytest
import typer
from typer.testing import CliRunner

from condord.cli import options


def parsed(*arguments):
    """The values of all options that a command gets for `arguments`."""
    received = []
    app = typer.Typer(rich_markup_mode=None)

    @app.command()
    def command(
        config_file: options.ConfigFile = None, url: options.Url = None, *, as_json: options.AsJson = False
    ) -> None:
        received.append((config_file, url, as_json))

    outcome = CliRunner().invoke(app, list(arguments))
    return received[0] if received else outcome


def test_without_options_there_is_no_file_and_no_address_and_the_output_is_text():
    assert parsed() == (None, None, False)


def test_each_option_has_one_name(tmp_path):
    path = tmp_path / "condord.toml"
    assert parsed("--config", str(path), "--url", "http://a:1", "--json") == (path, "http://a:1", True)


def test_a_file_that_does_not_exist_or_is_not_readable_is_left_to_the_command(tmp_path):
    path = tmp_path / "secret.toml"
    assert parsed("--config", str(path))[0] == path
    path.touch(mode=0)
    assert parsed("--config", str(path))[0] == path


def test_an_option_without_its_value_is_a_usage_error():
    assert parsed("--config").exit_code == parsed("--config", "").exit_code == 2
    assert parsed("--url").exit_code == 2


@pytest.mark.parametrize(
    ("command", "shared"),
    [
        (("positions",), {"--csv", "--json", "--url"}),
        (("history",), {"--csv", "--from", "--json", "--to", "--url"}),
        (("trades",), {"--csv", "--from", "--json", "--to", "--url"}),
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
    names = ("--csv", "--json", "--config", "--from", "--to", "--url")
    assert {name for name in names if f"{name} " in text or f"{name}\n" in text} == shared


def test_the_help_names_the_kind_of_value_that_an_option_takes(condord):
    assert "--config FILE" in condord("check", "--help").out
    assert "--url URL" in condord("status", "--help").out


def test_a_range_becomes_parameters_of_the_request():
    assert options.range_parameters(None, None) == options.range_parameters("", "") == {}
    assert options.range_parameters("2026-11-20", "2026-11-20T15:30:00Z") == {
        "from": "2026-11-20",
        "to": "2026-11-20T15:30:00Z",
    }


@pytest.mark.parametrize(
    ("first", "last", "hint", "text"),
    [
        ("soon", None, "'--from'", "'soon' is not a date at the exchange"),
        (None, "2026-11-20T15:30", "'--to'", "has no offset"),
        ("2026-11-21", "2026-11-20", "'--from'", "'2026-11-21' is after the end of the range, '2026-11-20'"),
    ],
)
def test_an_invalid_range_is_a_usage_error_that_names_its_option(first, last, hint, text):
    with pytest.raises(typer.BadParameter, match=text) as caught:
        options.range_parameters(first, last)
    assert caught.value.param_hint == hint


def test_only_one_output_format_is_allowed():
    options.require_one_form(as_csv=True, as_json=False)
    options.require_one_form(as_csv=False, as_json=True)
    with pytest.raises(typer.BadParameter, match="--json"):
        options.require_one_form(as_csv=True, as_json=True)


def test_the_url_of_the_parent_command_is_found():
    received = []
    app = typer.Typer(rich_markup_mode=None)
    app.callback()(lambda url=None: None)

    @app.command()
    def below(context: typer.Context) -> None:
        received.append(options.parent_url(context))
        received.append(options.parent_url(context.parent))

    CliRunner().invoke(app, ["--url", "http://x", "below"])
    assert received == ["http://x", None]


@pytest.mark.parametrize("text", ["x", "", "1.5", "0", "5001", "1e3", "٣", "9" * 30])
def test_a_number_that_is_not_allowed_is_refused_with_the_allowed_ones(text):
    with pytest.raises(typer.BadParameter) as caught:
        options.whole_number(range(1, 5001))(text)
    assert str(caught.value) == f"{text!r} is not a whole number from 1 to 5000"


def test_without_a_range_any_whole_number_is_allowed():
    assert [options.whole_number()(text) for text in ("-3", "0", "70000")] == [-3, 0, 70_000]
    assert options.whole_number(range(65_536))(8421) == 8421  # a default
    with pytest.raises(typer.BadParameter, match=r"'x' is not a whole number$"):
        options.whole_number()("x")


@pytest.mark.parametrize(
    ("arguments", "allowed"),
    [
        (("history", "--points", "x"), "from 1 to 5000"),
        (("simulate", "--port", "65536"), "from 0 to 65535"),
        (("simulate", "--seed", "x"), ""),
        (("start", "--port", "x"), ""),
    ],
)
def test_the_error_for_a_number_names_what_is_allowed(condord, arguments, allowed):
    code, _, err = condord(*arguments)
    sentence = f"'{arguments[-1]}' is not a whole number {allowed}".rstrip()
    assert (code, err[0]) == (2, f"condord: Invalid value for '{arguments[-2]}': {sentence}")


@pytest.mark.parametrize(("text", "dollars"), [("25", 25), ("0.5", 0.5), ("$1,250.25", 1250.25), ("0", 0)])
def test_an_amount_is_dollars(text, dollars):
    assert options.amount(text) == dollars


@pytest.mark.parametrize("text", ["", "-1", "nan", "inf", "1e3", "25 %", ".5", "٢", "1.00001"])
def test_a_text_that_is_not_an_amount_is_refused(text):
    with pytest.raises(typer.BadParameter, match="is not an amount of dollars"):
        options.amount(text)
