"""Serve the page that was built from `web/`, or a plain one that explains how to build it.

All files are read once, when first requested, so that the page and its assets belong to one build even while another is
being installed. Only these files are served: no name in a request is used as a path on disk.

The name of an asset contains a hash of its content, so browsers may keep it indefinitely; they revalidate the page at
each load. Links are relative, so the page works under any prefix of a proxy.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import html
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from condord.http.answer import REVALIDATE
from condord.http.etag import is_known
from condord.http.interfaces import DaemonView
from condord.http.problem import problem
from condord.http.stream_route import offered_codings, takes_gzip

BUILD_DIRECTORY = Path(__file__).with_name("page")
"""The folder that the build of `web/` writes the page to."""
MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript"}
"""Media types of assets by suffix; files with any other suffix are not served."""
_IMMUTABLE = "max-age=31536000, immutable"
_UNBUILT_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>condord</title>
<h1>condord</h1>
<p>The daemon works, but it was installed without its page. Install condord again, without
<code>CONDORD_WITHOUT_PAGE</code>, and restart the daemon.</p>
<p>These routes are available:</p>
<ul>
{links}
</ul>
</html>
"""


class StaticFile(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A file to serve, plain and compressed."""

    media_type: str
    body: bytes
    brotli: bytes | None = None
    """The file as the build has compressed it."""

    @functools.cached_property
    def gzipped(self) -> bytes:
        """Compressed when first asked for, so that no browser waits for files that it does not load."""
        return gzip.compress(self.body, mtime=0)

    @property
    def etag(self) -> str:
        """A weak tag of the content: it identifies the plain and the compressed bodies."""
        return f'W/"{hashlib.sha256(self.body).hexdigest()[:16]}"'


class Page:
    """The page in `folder`, and the endpoints that serve it and its assets."""

    def __init__(self, folder: Path = BUILD_DIRECTORY) -> None:
        self._folder = folder

    async def index(self, request: Request) -> Response:
        """Answer with the page, or 304 for a client that has it."""
        file = self._index or StaticFile(media_type="text/html", body=_unbuilt_page(request).encode())
        headers = {"ETag": file.etag, **REVALIDATE}
        if is_known(request.headers, file.etag):
            return Response(status_code=304, headers=headers)
        return _answer(request, file, headers)

    async def asset(self, request: Request) -> Response:
        """Answer with an asset, or 404."""
        file = self._assets.get(request.path_params["name"])
        if file is None:
            return problem(404, "the page has no such file; reload the page")
        return _answer(request, file, {"Cache-Control": _IMMUTABLE})

    @functools.cached_property
    def _index(self) -> StaticFile | None:
        path = self._folder / "index.html"
        return _file("text/html", path) if path.is_file() else None

    @functools.cached_property
    def _assets(self) -> dict[str, StaticFile]:
        paths = (path for path in self._folder.glob("assets/*") if path.suffix in MEDIA_TYPES and path.is_file())
        return {path.name: _file(MEDIA_TYPES[path.suffix], path) for path in paths}


def _file(media_type: str, path: Path) -> StaticFile:
    brotli = path.with_name(f"{path.name}.br")
    return StaticFile(
        media_type=media_type, body=path.read_bytes(), brotli=brotli.read_bytes() if brotli.is_file() else None
    )


def _answer(request: Request, file: StaticFile, headers: dict[str, str]) -> Response:
    body, coding = _coded(request, file)
    return Response(
        body,
        headers={**headers, "Vary": "Accept-Encoding", **({"Content-Encoding": coding} if coding else {})},
        media_type=file.media_type,
    )


def _coded(request: Request, file: StaticFile) -> tuple[bytes, str | None]:
    """The body in the smallest form that the client accepts, and the name of its coding."""
    daemon: DaemonView = request.app.state.daemon
    if not daemon.subscribers.compresses:
        return file.body, None
    # Only if it is named: clients that cannot decode brotli send a star, too.
    if file.brotli is not None and offered_codings(request.headers).get("br"):
        return file.brotli, "br"
    return (file.gzipped, "gzip") if takes_gzip(request.headers) else (file.body, None)


def _unbuilt_page(request: Request) -> str:
    """A page with links to every route that needs no parameter."""
    routes = (route for route in request.app.routes if isinstance(route, Route))
    paths = [route.path[1:] for route in routes if "GET" in (route.methods or ()) and not route.param_convertors]
    links = (f'<li><a href="./{html.escape(path)}">{html.escape(path)}</a>' for path in paths if path)
    return _UNBUILT_PAGE.format(links="\n".join(links))
