"""A reverse proxy at a path prefix, whose connection to the daemon can be cut."""

import contextlib
import http.client
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PREFIX = "/condors"
_OURS = {"connection", "transfer-encoding", "content-length"}


class Forwarder:
    """Serves the daemon at `target` under `url`; while `is_cut` it answers every request with 502."""

    def __init__(self, target: str) -> None:
        self._target = target.removeprefix("http://").rstrip("/")
        self._links: set[http.client.HTTPConnection] = set()
        self.is_cut = False
        self.refused = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def do_POST(self) -> None:
                outer.answer(self)

            def log_message(self, *_arguments) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}{PREFIX}/"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Forward one request without the prefix, and stream the response back."""
        request.close_connection = True
        if self.is_cut or not request.path.startswith(f"{PREFIX}/"):
            self.refused += 1
            request.send_error(502 if self.is_cut else 404)
            return
        link = http.client.HTTPConnection(self._target, timeout=60)
        self._links.add(link)
        with contextlib.suppress(OSError, http.client.HTTPException):  # either side has disconnected
            link.request(request.command, request.path.removeprefix(PREFIX), headers=dict(request.headers))
            answer = link.getresponse()
            request.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _OURS:
                    request.send_header(name, value)
            request.send_header("Connection", "close")
            request.end_headers()
            while not self.is_cut and (chunk := answer.read1(65_536)):
                request.wfile.write(chunk)
        self._links.discard(link)
        link.close()

    def cut(self) -> None:
        """End all responses, and answer with 502 from now on."""
        self.is_cut = True
        for link in [*self._links]:
            with contextlib.suppress(OSError):  # it has just ended
                if connected := link.sock:
                    connected.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Forward requests again."""
        self.is_cut = False

    def close(self) -> None:
        """End all responses and stop the server."""
        self.cut()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
