import os
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from condord.config.credentials import find, read_file, read_token
from condord.errors import ConfigError, CredentialsMissing
from tests.needs import without

IN_ENVIRON = {"APCA_API_KEY_ID": "PKENV", "APCA_API_SECRET_KEY": "env-hush"}
one_word = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=64)


@pytest.fixture
def write(tmp_path):
    def write(name, content, mode=0o600):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)
        return str(path)

    return write


@pytest.fixture
def in_files(write):
    return write("id", "PKFILE\n"), write("secret", "file-hush\n")


@pytest.fixture
def in_systemd(write):
    """Credentials as systemd passes them to a user's service."""
    write("credentials/apca-api-key-id", "PKSYSTEMD\n", 0o440)
    directory = Path(write("credentials/apca-api-secret-key", "systemd-hush", 0o440)).parent
    return {"CREDENTIALS_DIRECTORY": str(directory), "XDG_RUNTIME_DIR": str(directory.parent)}


def missing(environ, key_id_file="", secret_key_file=""):
    with pytest.raises(CredentialsMissing) as caught:
        find(environ, key_id_file, secret_key_file)
    assert caught.value.exit_code == 77
    assert "hush" not in f"{caught.value} {caught.value.hint}"
    return str(caught.value), caught.value.hint


# Which credentials


def test_the_environment_precedes_systemd_which_precedes_files(in_systemd, in_files):
    found = find(IN_ENVIRON | in_systemd, *in_files)
    assert (found.key_id.reveal(), found.secret_key.reveal()) == ("PKENV", "env-hush")
    assert found.origin == "environment"
    found = find(in_systemd, *in_files)
    assert (found.key_id.reveal(), found.secret_key.reveal()) == ("PKSYSTEMD", "systemd-hush")
    assert found.origin == f"systemd credentials in {in_systemd['CREDENTIALS_DIRECTORY']}"
    found = find({}, *in_files)
    assert (found.key_id.reveal(), found.secret_key.reveal()) == ("PKFILE", "file-hush")
    assert found.origin == f"files {in_files[0]} and {in_files[1]}"


def test_without_a_key_the_hint_names_every_source():
    text, hint = missing({"APCA_API_KEY_ID": ""})
    assert text == "no Alpaca API key was found"
    assert "APCA_API_KEY_ID" in hint
    assert "alpaca.key_id_file" in hint


@pytest.mark.parametrize(("present", "absent"), [tuple(IN_ENVIRON), tuple(IN_ENVIRON)[::-1]])
def test_half_a_key_in_the_environment_is_an_error_and_not_completed_from_elsewhere(
    in_systemd, in_files, present, absent
):
    text, _ = missing({present: "hush", absent: ""} | in_systemd, *in_files)
    assert f"the environment has {present} but not {absent}" in text


def test_half_a_key_of_systemd_is_an_error(in_systemd, in_files):
    directory = in_systemd["CREDENTIALS_DIRECTORY"]
    Path(directory, "apca-api-secret-key").unlink()
    text, _ = missing(in_systemd, *in_files)
    assert f"{directory} has apca-api-key-id but not apca-api-secret-key" in text


def test_half_a_key_in_files_is_an_error(in_files):
    assert "alpaca.key_id_file but not alpaca.secret_key_file" in missing({}, in_files[0], "")[0]
    assert "alpaca.secret_key_file but not alpaca.key_id_file" in missing({}, "", in_files[1])[0]


def test_faults_of_both_halves_are_reported_together(tmp_path, write):
    text, hint = missing({}, str(tmp_path), write("open", "hush", 0o644))
    assert f"{tmp_path} (alpaca.key_id_file) cannot be read: it is not a regular file; " in text
    assert text.endswith(f"{tmp_path}/open (alpaca.secret_key_file) may be read or written by others")
    assert hint == f"Correct alpaca.key_id_file or the file. `chmod 600 {tmp_path}/open`."


def test_a_systemd_directory_without_a_key_is_skipped(tmp_path, in_files):
    assert find({"CREDENTIALS_DIRECTORY": str(tmp_path)}, *in_files).key_id.reveal() == "PKFILE"


def test_a_systemd_directory_that_cannot_be_read_is_an_error(tmp_path):
    text, hint = missing({"CREDENTIALS_DIRECTORY": str(tmp_path / "none")})
    assert str(tmp_path / "none") in text
    assert "CREDENTIALS_DIRECTORY" in hint


# What a file may be


def test_a_missing_file_is_an_error_that_names_it(tmp_path, in_files):
    text, _ = missing({}, in_files[0], str(tmp_path / "none"))
    assert f"{tmp_path / 'none'} (alpaca.secret_key_file) cannot be read: No such file" in text


def test_a_directory_in_place_of_a_file_is_an_error(tmp_path, in_files):
    assert "is not a regular file" in missing({}, in_files[0], str(tmp_path))[0]


@pytest.mark.parametrize("kind", ["fifo", "device", "link to a device"])
def test_a_path_that_is_not_a_regular_file_is_refused_at_once(tmp_path, in_files, kind):
    path = tmp_path / "key"
    if kind == "fifo":
        os.mkfifo(path, 0o600)
    elif kind == "link to a device":
        path.symlink_to("/dev/zero")
    named = "/dev/zero" if kind == "device" else str(path)
    assert (
        f"{named} (alpaca.secret_key_file) cannot be read: it is not a regular file"
        in missing({}, in_files[0], named)[0]
    )


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_that_others_may_read_or_write_is_refused_with_the_remedy(write, in_files, mode):
    path = write("open", "hush", mode)
    text, hint = missing({}, in_files[0], path)
    assert f"{path} (alpaca.secret_key_file) may be read or written by others" in text
    assert hint == f"chmod 600 {path}"


@pytest.mark.parametrize("mode", [0o600, 0o400])
@without("root", os.geteuid() != 0)
def test_a_file_of_another_user_is_refused_even_if_nobody_else_may_read_it(write, in_files, mode):
    path = write("the key", "0123456789abcdef", mode)
    os.chown(path, 54321, 54321)
    text, hint = missing({}, in_files[0], path)
    assert f"{path} (alpaca.secret_key_file) belongs to user 54321, neither to root nor" in text
    assert hint == f"If you trust its content: sudo chown 0 '{path}'"
    with pytest.raises(ConfigError, match="belongs to user 54321") as caught:
        read_token(path)
    assert (caught.value.exit_code, caught.value.hint) == (78, hint)


@without("root", os.geteuid() != 0)
def test_a_link_does_not_hide_the_owner_of_the_file(write, in_files, tmp_path):
    os.chown(write("theirs", "hush"), 54321, 54321)
    (tmp_path / "link").symlink_to("theirs")
    assert "belongs to user 54321" in missing({}, in_files[0], str(tmp_path / "link"))[0]


@pytest.mark.parametrize("mode", [0o460, 0o444, 0o402, 0o450])
def test_the_group_may_read_a_credential_of_systemd_but_nothing_else(in_systemd, mode):
    path = Path(in_systemd["CREDENTIALS_DIRECTORY"], "apca-api-key-id")
    path.chmod(mode)
    assert "may be read or written by others" in missing(in_systemd)[0]


@without("root", os.geteuid() != 0)
def test_a_credential_of_systemd_must_belong_to_root_or_the_user_too(in_systemd):
    path = Path(in_systemd["CREDENTIALS_DIRECTORY"], "apca-api-key-id")
    os.chown(path, 54321, 54321)
    assert "belongs to user 54321" in missing(in_systemd)[0]


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_that_only_its_owner_may_read_is_read(write, in_files, mode):
    assert find({}, in_files[0], write("mine", "hush", mode)).secret_key.reveal() == "hush"


def test_another_directory_named_by_the_variable_is_checked_like_any_other(in_systemd):
    text, hint = missing({"CREDENTIALS_DIRECTORY": in_systemd["CREDENTIALS_DIRECTORY"]})
    assert "the credential apca-api-key-id) may be read or written by others" in text
    assert hint.startswith("`chmod 600 ")


def test_a_key_may_name_a_credential_of_systemd(in_systemd):
    directory = in_systemd["CREDENTIALS_DIRECTORY"]
    Path(directory, "token").write_text("0123456789abcdef")
    Path(directory, "token").chmod(0o440)
    assert read_token(f"{directory}/token", in_systemd).reveal() == "0123456789abcdef"
    with pytest.raises(ConfigError):
        read_token(f"{directory}/token")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "is empty"),
        ("\n", "is empty"),
        (" \t\n", "is empty"),
        ("hush\nhush\n", "more than one line"),
        ("hush hush", "blanks or characters outside ASCII"),
        (" hush", "blanks or characters outside ASCII"),
        ("hüsh", "blanks or characters outside ASCII"),
        (b"\xff\xfeh\0u\0", "blanks or characters outside ASCII"),
        ("hush" * 2000, "more than 4096 bytes"),
        ("APCA_API_KEY_ID=hush", "an assignment"),
        ('secret_key="hush"', "an assignment"),
        ('"hush"', "quotation marks"),
        ("'hush'\n", "quotation marks"),
    ],
)
def test_content_that_is_not_a_key_is_refused_without_repeating_it(write, in_files, content, why):
    path = write("wrong", content)
    text, hint = missing({}, in_files[0], path)
    assert f"{path} (alpaca.secret_key_file) " in text
    assert why in text
    assert hint


def test_a_variable_that_does_not_hold_a_key_is_named_without_its_value():
    text, _ = missing(IN_ENVIRON | {"APCA_API_SECRET_KEY": "hush hush"})
    assert "the variable APCA_API_SECRET_KEY holds blanks" in text
    assert "4096" in missing(IN_ENVIRON | {"APCA_API_SECRET_KEY": "hush" * 2000})[0]


def test_a_key_in_place_of_its_path_is_not_repeated(in_files):
    text, hint = missing({}, in_files[0], "hush0123456789ABCDEFGHIJ")
    assert "alpaca.secret_key_file" in text + hint


def test_a_tilde_is_the_home_directory(tmp_path, monkeypatch, in_files):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find({}, "~/id", "~/secret").key_id.reveal() == "PKFILE"


@pytest.mark.parametrize("word", ["Zm9vYmFyZm9vYmFy==", "a'b'", '"', "=", "x=y"])
def test_a_word_with_quotation_marks_or_equals_signs_inside_is_a_key(write, word):
    assert find({}, write("id", word), write("secret", word)).secret_key.reveal() == word


def is_quoted_or_assignment(word):
    return "=" in word or (len(word) > 1 and word[0] == word[-1] and word[0] in "\"'")


@settings(deadline=None)  # the machine may be busy
@given(word=one_word, end=st.sampled_from(["", "\n", "\r\n"]))
def test_any_word_is_read_from_a_file_with_any_line_end(tmp_path_factory, word, end):
    path = tmp_path_factory.getbasetemp() / "word"
    path.touch(0o600)
    path.write_bytes((word + end).encode())
    assume(not is_quoted_or_assignment(word))
    assert find({}, str(path), str(path)).secret_key.reveal() == word


@settings(deadline=None)  # the machine may be busy
@given(content=st.binary(max_size=40))
def test_any_content_is_a_key_or_a_refusal(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "content"
    path.touch(0o600)
    path.write_bytes(content)
    word = content.rstrip(b"\r\n")
    if word and all(0x21 <= byte <= 0x7E for byte in word) and not is_quoted_or_assignment(word.decode()):
        assert find({}, str(path), str(path)).key_id.reveal().encode() == word
    elif b"=" not in word:
        assert str(path) in missing({}, str(path), str(path))[0]


# The token


def test_a_token_is_read_like_a_key(write):
    assert read_token(write("token", "0123456789abcdef\n")).reveal() == "0123456789abcdef"


@pytest.mark.parametrize(
    ("content", "mode", "why"),
    [
        ("short-hush", 0o600, "at least 16"),
        ("0123456789abcdef", 0o644, "read or written by others"),
        ("", 0o600, "is empty"),
    ],
)
def test_an_unusable_token_is_a_configuration_error(write, content, mode, why):
    path = write("token", content, mode)
    with pytest.raises(ConfigError, match=why) as caught:
        read_token(path)
    assert path in str(caught.value)
    assert "hush" not in str(caught.value)
    assert caught.value.hint


def test_a_missing_token_file_is_an_error_that_names_it(tmp_path):
    with pytest.raises(ConfigError, match=r"server\.token_file.* cannot be read"):
        read_token(tmp_path / "none")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_a_file_that_may_not_be_read_is_an_error(write, in_files):
    path = write("closed", "hush", 0o000)
    assert "Permission denied" in missing({}, in_files[0], path)[0]


# Files of channels


def test_a_name_without_a_slash_is_a_systemd_credential(write):
    directory = Path(write("credentials/phone", "https://example.org\n")).parent
    environ = {"CREDENTIALS_DIRECTORY": str(directory)}
    assert read_file("phone", "notify[0].url_file", environ).reveal() == "https://example.org"
    assert read_file(str(directory / "phone"), "notify[0].url_file", {}).reveal() == "https://example.org"


@pytest.mark.parametrize("environ", [{}, {"CREDENTIALS_DIRECTORY": "/none"}])
def test_a_credential_that_is_not_there_is_a_fault_of_the_configuration(environ):
    with pytest.raises(ConfigError) as caught:
        read_file("phone", "notify[0].url_file", environ)
    assert "(notify[0].url_file)" in str(caught.value)
    assert caught.value.hint
