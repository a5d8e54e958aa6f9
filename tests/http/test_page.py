import asyncio
import gzip
import re
import urllib.parse
from types import SimpleNamespace

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from condord.http.app import ROUTES
from condord.http.guard import Guard
from condord.http.page import BUILD_DIRECTORY, Page
from tests.http.builders import TOKEN, guard_settings
from tests.http.fake_daemon import Conversation, FakeDaemon, ask
from tests.needs import without

INDEX = b'<!doctype html><script type="module" src="./assets/page-abc.js"></script>'
SCRIPT = b"console.log('\xe2\x80\x94')" * 50


@pytest.fixture
def folder(tmp_path):
    """A page as the build writes it."""
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_bytes(INDEX)
    (tmp_path / "assets" / "page-abc.js").write_bytes(SCRIPT)
    (tmp_path / "assets" / "page-abc.css").write_bytes(b"body{}")
    (tmp_path / "assets" / "page-abc.js.map").write_bytes(b"{}")
    (tmp_path / "stamp").write_bytes(b"0")
    return tmp_path


class Served:
    """An application that serves the page in a folder, behind a guard."""

    def __init__(self, folder, *, token=None, compresses=True):
        page = Page(folder)
        own_routes = [Route("/", page.index), Route("/assets/{name}", page.asset)]
        app = Starlette(routes=[*own_routes, *(route.starlette_route() for route in ROUTES)])
        app.state.daemon = SimpleNamespace(subscribers=SimpleNamespace(compresses=compresses))
        self._app = Guard(app, guard_settings(token=token))

    def __call__(self, path, **request):
        return asyncio.run(Conversation(self._app, path, **request).run())


def test_the_page_is_html_and_revalidated_each_time(folder):
    answer = Served(folder)("/")
    assert (answer.status, answer.body) == (200, INDEX)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert "script-src 'self'" in answer.headers["content-security-policy"]


def test_a_client_with_a_current_copy_gets_304(folder):
    served = Served(folder)
    tag = served("/").headers["etag"]
    answer = served("/", headers={"If-None-Match": f'"other", {tag}'})
    assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", tag)
    assert served("/", headers={"If-None-Match": '"other"'}).status == 200


def test_another_page_has_another_etag(folder):
    before = Served(folder)("/").headers["etag"]
    (folder / "index.html").write_bytes(b"new")
    assert Served(folder)("/").headers["etag"] != before


@pytest.mark.parametrize(("suffix", "kind"), [("js", "text/javascript"), ("css", "text/css")])
def test_an_asset_has_its_media_type_and_is_immutable(folder, suffix, kind):
    answer = Served(folder)(f"/assets/page-abc.{suffix}")
    assert answer.body == (folder / "assets" / f"page-abc.{suffix}").read_bytes()
    assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
    assert answer.headers["cache-control"] == "max-age=31536000, immutable"


def test_page_and_assets_come_from_one_build_while_another_is_installed(folder):
    served = Served(folder)
    assert [served(path).status for path in ("/", "/assets/page-abc.js")] == [200, 200]
    (folder / "assets" / "page-abc.js").unlink()
    (folder / "index.html").write_bytes(b"new")
    assert served("/").body == INDEX
    assert served("/assets/page-abc.js").body == SCRIPT


@pytest.mark.parametrize(
    "path",
    [
        "/assets/none.js",
        "/assets/page-abc.js.map",
        "/assets/../stamp",
        "/assets/..%2fstamp",
        "/assets/../index.html",
        "/assets//etc/passwd",
        "/assets/",
        "/stamp",
    ],
)
def test_no_other_path_is_served(folder, path):
    assert Served(folder)(urllib.parse.unquote(path)).status == 404


@pytest.mark.parametrize(
    ("offer", "compresses", "coding"), [("gzip", True, "gzip"), ("gzip", False, None), ("br", True, None)]
)
@pytest.mark.parametrize("path", ["/", "/assets/page-abc.js"])
def test_a_client_that_accepts_gzip_gets_it_unless_compression_is_off(folder, path, offer, compresses, coding):
    plain = Served(folder)(path).body
    answer = Served(folder, compresses=compresses)(path, headers={"Accept-Encoding": offer})
    assert answer.headers.get("content-encoding") == coding
    assert (gzip.decompress(answer.body) if coding else answer.body) == plain
    assert answer.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    ("offer", "compresses", "coding"),
    [
        ("gzip, deflate, br, zstd", True, "br"),
        ("br;q=0, gzip", True, "gzip"),
        ("*", True, "gzip"),
        ("gzip", True, "gzip"),
        ("deflate", True, None),
        ("br", False, None),
    ],
)
@pytest.mark.parametrize(("path", "name"), [("/", "index.html"), ("/assets/page-abc.js", "assets/page-abc.js")])
def test_a_file_compressed_by_the_build_goes_to_clients_that_name_its_coding(
    folder, path, name, offer, compresses, coding
):
    (folder / f"{name}.br").write_bytes(b"compressed by the build")
    plain = (folder / name).read_bytes()
    answer = Served(folder, compresses=compresses)(path, headers={"Accept-Encoding": offer})
    assert answer.headers.get("content-encoding") == coding
    body = gzip.decompress(answer.body) if coding == "gzip" else answer.body
    assert body == (b"compressed by the build" if coding == "br" else plain)
    assert answer.headers["vary"] == "Accept-Encoding"
    assert Served(folder)(f"{path}.br").status == 404


def test_the_page_and_its_assets_are_the_same_with_a_token_and_without(folder):
    served = Served(folder, token=TOKEN)
    for path in ("/", "/assets/page-abc.js"):
        without, with_token = served(path), served(path, headers={"Authorization": f"Bearer {TOKEN}"})
        assert (without.status, without.body, without.headers) == (200, with_token.body, with_token.headers)


def test_without_a_build_a_plain_page_explains_that(tmp_path):
    answer = Served(tmp_path)("/")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "installed without its page" in answer.body.decode()
    assert answer.headers["etag"]
    assert Served(tmp_path)("/assets/page-abc.js").status == 404


def test_the_plain_page_links_every_get_route_without_parameters(tmp_path):
    wanted = {f".{route.path}" for route in ROUTES if route.method == "GET" and "{" not in route.path} - {"./"}
    assert set(re.findall(r'href="([^"]+)"', Served(tmp_path)("/").body.decode())) == wanted


@without("the page", not (BUILD_DIRECTORY / "index.html").is_file())
class TestAsBuilt:
    """The page of this tree."""

    def test_everything_the_page_loads_is_relative_and_exists(self):
        page = ask(FakeDaemon(), "/").body.decode()
        links = [link for link in re.findall(r'(?:src|href)="([^"]+)"', page) if not link.startswith("data:")]
        assert {link[:2] for link in links} == {"./"}
        assert {link.rpartition(".")[2] for link in links if re.match(r"\./assets/\w+-[\w-]{6}\.", link)} == {
            "js",
            "css",
        }
        assert {ask(FakeDaemon(), link[1:]).status for link in links} == {200}

    def test_the_page_has_nothing_inline_that_its_policy_forbids(self):
        page = ask(FakeDaemon(), "/").body.decode()
        assert re.findall(r"<style|\bstyle=|\bon\w+=|<script(?![^>]*\bsrc=)", page) == []
