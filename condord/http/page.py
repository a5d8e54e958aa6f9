"""Decides what a browser is shown: the page as it was built of `web/`, or a plain one that says how to build it.

Rules: the files are read once, when they are first asked for, so that a page and what belongs to it are of one build
also while another is installed. Only what was found then is served; no name in a request leads to the disk. Assets have
a hash of their content in their names and may be kept for ever; the page is asked for anew each time. Links are
relative, so that all of it works under any prefix of a proxy.
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

from condord.http.etag import is_known
from condord.http.events import takes_gzip
from condord.http.ports import Daemon
from condord.http.problem import problem

BUILT = Path(__file__).with_name("page")
"""Where the build of `web/` lands."""
KINDS = {".css": "text/css", ".js": "text/javascript"}
"""What assets there are, by their suffix."""
_FOR_EVER = "max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"
_PLAIN = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>condord</title>
<h1>condord</h1>
<p>The daemon works, but it was installed without its page. Node 20.19 or newer builds it:
install condord again with <code>node</code> and <code>npm</code> at hand, and restart the daemon.</p>
<p>Here are:</p>
<ul>
{links}
</ul>
</html>
"""


class File(msgspec.Struct, frozen=True, kw_only=True):
    """Something to serve, as it is and as gzip."""

    kind: str
    body: bytes
    deflated: bytes

    @property
    def etag(self) -> str:
        """What its content is known by; weak, as it stands for both forms."""
        return f'W/"{hashlib.sha256(self.body).hexdigest()[:16]}"'


class Page:
    """The page in `folder`, and the two endpoints that serve it."""

    def __init__(self, folder: Path = BUILT) -> None:
        self._folder = folder

    async def index(self, request: Request) -> Response:
        """The page itself, or 304 to whoever has it."""
        found = self._index or _file("text/html", _plain(request).encode())
        headers = {"ETag": found.etag, "Cache-Control": _ASK_AGAIN}
        if is_known(request.headers, found.etag):
            return Response(status_code=304, headers=headers)
        return _answer(request, found, headers)

    async def asset(self, request: Request) -> Response:
        """A file that the page loads."""
        found = self._assets.get(request.path_params["name"])
        if found is None:
            return problem(404, "the page has no such file; load it anew")
        return _answer(request, found, {"Cache-Control": _FOR_EVER})

    @functools.cached_property
    def _index(self) -> File | None:
        path = self._folder / "index.html"
        return _file("text/html", path.read_bytes()) if path.is_file() else None

    @functools.cached_property
    def _assets(self) -> dict[str, File]:
        found = (path for path in self._folder.glob("assets/*") if path.suffix in KINDS and path.is_file())
        return {path.name: _file(KINDS[path.suffix], path.read_bytes()) for path in found}


def _file(kind: str, body: bytes) -> File:
    return File(kind=kind, body=body, deflated=gzip.compress(body, mtime=0))


def _answer(request: Request, found: File, headers: dict[str, str]) -> Response:
    daemon: Daemon = request.app.state.daemon
    coded = daemon.audience.compresses and takes_gzip(request.headers)
    return Response(
        found.deflated if coded else found.body,
        headers={**headers, "Vary": "Accept-Encoding", **({"Content-Encoding": "gzip"} if coded else {})},
        media_type=found.kind,
    )


def _plain(request: Request) -> str:
    """A page with links to whatever can be read here."""
    routes = (route for route in request.app.routes if isinstance(route, Route))
    paths = [route.path[1:] for route in routes if "GET" in (route.methods or ()) and not route.param_convertors]
    links = (f'<li><a href="./{html.escape(path)}">{html.escape(path)}</a>' for path in paths if path)
    return _PLAIN.format(links="\n".join(links))
