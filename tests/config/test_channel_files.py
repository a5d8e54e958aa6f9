import pytest

from condord.config import channel_files
from condord.config.schema import ChannelTable

GOOD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def write(tmp_path):
    def write(name, text, mode=0o600):
        path = tmp_path / name
        path.write_text(text)
        path.chmod(mode)
        return str(path)

    return write


@pytest.fixture(params=["webhook", "apprise"])
def kind(request, monkeypatch):
    monkeypatch.setattr(channel_files, "has_apprise", lambda: True)
    return request.param


def channel(url_file, kind="webhook", **keys):
    return ChannelTable(name="phone", type=kind, url_file=url_file, **keys)


def faults(*channels):
    """The faults by key; none contains what a file holds."""
    found = channel_files.read(channels, {})
    assert "hush" not in str(found)
    assert bool(found.hint) is bool(found.faults)
    return dict(found.faults)


def test_the_files_hold_the_url_and_the_signing_secret(write):
    found = channel_files.read([channel(write("url", "https://x/hush\n"), secret_file=write("key", GOOD))], {})
    ((url, key),) = found.files
    assert (url.reveal(), key.reveal(), found.faults) == ("https://x/hush", GOOD, ())


def test_without_a_secret_a_webhook_is_not_signed(write):
    found = channel_files.read([channel(write("url", "https://x/hush"))], {})
    assert found.files[0].signing_key is None


@pytest.mark.parametrize("url", ["https://x.example/hush?a=b", "http://127.0.0.1:1/hush", "http://localhost/hush"])
def test_a_url_over_tls_or_on_loopback_is_allowed(write, kind, url):
    assert faults(channel(write("url", url), kind)) == {}


@pytest.mark.parametrize("url", ["http://x.example/hush", "HTTP://192.168.0.1/hush"])
def test_a_url_that_would_send_alerts_unencrypted_is_a_fault(write, kind, url):
    (text,) = faults(channel(write("url", url), kind)).values()
    assert "would cross the network unencrypted" in text


@pytest.mark.parametrize("url", ["hush", "http://[hush/", "https://x:hush/", "https:/hush", "https://"])
def test_a_text_that_is_not_a_url_is_a_fault(write, kind, url):
    path = write("url", url)
    (text,) = faults(channel(path, kind)).values()
    assert text.startswith(f"{path} (notify[0].url_file) ")


@pytest.mark.parametrize("url", ["ntfy://hush", "mailto://a:b@hush:x", "tgram://1:hush/[2"])
def test_apprise_takes_urls_of_services_and_webhooks_do_not(write, monkeypatch, url):
    monkeypatch.setattr(channel_files, "has_apprise", lambda: True)
    path = write("url", url)
    assert faults(channel(path, "apprise")) == {}
    assert list(faults(channel(path))) == ["notify[0].url_file"]


@pytest.mark.parametrize("secret", ["hush", "whsec_", "whsec_hush!", "whsec_aHVzaA==", GOOD.removeprefix("whsec_")])
def test_a_text_that_is_not_a_signing_secret_is_a_fault(write, secret):
    path = write("key", secret)
    found = faults(channel(write("url", "https://x"), secret_file=path))
    assert found == {
        "notify[0].secret_file": f"{path} (notify[0].secret_file) must hold whsec_ and at least 16 bytes in base64"
    } or (secret == "" and found)


def test_all_faults_of_all_files_are_reported_together(write):
    first = channel("/none/url", secret_file=write("key", GOOD, 0o644))
    second = channel(write("two", "https://x\nhush"))
    found = channel_files.read([first, second], {})
    assert list(dict(found.faults)) == ["notify[0].url_file", "notify[0].secret_file", "notify[1].url_file"]
    assert "`chmod 600 " in found.hint
    assert found.hint.endswith("`. It must hold only the value itself, on one line.")


def test_a_command_that_is_the_only_hint_can_be_copied_whole(write):
    path = write("url", "https://x", 0o644)
    assert channel_files.read([channel(path)], {}).hint == f"chmod 600 {path}"


def test_without_the_package_apprise_is_a_fault_with_the_command_that_installs_it(write, monkeypatch):
    monkeypatch.setattr(channel_files, "has_apprise", lambda: False)
    found = channel_files.read([channel(write("url", "ntfy://hush"), "apprise")], {})
    assert dict(found.faults) == {"notify[0].type": "notify[0].type = 'apprise': the package apprise is not installed"}
    assert "pip install 'condord[notify]'" in found.hint


def test_whether_apprise_is_installed_is_found_without_importing_it(monkeypatch, tmp_path):
    (tmp_path / "apprise.py").write_text("raise AssertionError")
    monkeypatch.syspath_prepend(tmp_path)
    assert channel_files.has_apprise()
