"""A fake of Alpaca's REST: an HTTP server in a thread, whose answers a test scripts.

`Canned` does without a socket, for tests with thousands of answers.
"""

import io
import json
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import urllib3
from requests.adapters import BaseAdapter, HTTPAdapter

STALL_SECONDS = 60.0


class Answer:
    """One answer. `length` replaces the true length in the header Content-Length."""

    def __init__(self, body=b"", status=200, headers=None, length=None):
        self.body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.status = status
        self.headers = headers or {}
        self.length = len(self.body) if length is None else length

    def give(self, handler):
        handler.send_response(self.status)
        for name, value in self.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(self.length))
        handler.end_headers()
        handler.wfile.write(self.body)
        if self.length != len(self.body):
            handler.close_connection = True


class Late:
    """An answer after `seconds`, or as soon as `released` is set."""

    def __init__(self, seconds, answer):
        self.seconds = seconds
        self.answer = answer
        self.released = threading.Event()

    def give(self, handler):
        self.released.wait(self.seconds)
        self.answer.give(handler)


class Raw:
    """Any bytes, which need not be HTTP."""

    def __init__(self, raw):
        self.raw = raw

    def give(self, handler):
        handler.wfile.write(self.raw)
        handler.close_connection = True


class Stall:
    """No answer until the server ends."""

    def give(self, handler):
        handler.server.ending.wait(STALL_SECONDS)
        handler.close_connection = True


class Drip:
    """A body sent byte by byte, with no pause long enough for a timeout, until the server ends."""

    def give(self, handler):
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        handler.close_connection = True
        try:
            while not handler.server.ending.wait(0.02):
                handler.wfile.write(b" ")
        except OSError:
            return


class ChunkDrip:
    """Chunks of one byte, with no pause long enough for a timeout, until the server ends."""

    def give(self, handler):
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.close_connection = True
        try:
            while not handler.server.ending.wait(0.02):
                handler.wfile.write(b"1\r\n \r\n")
        except OSError:
            return


class HeadDrip:
    """A head sent byte by byte, with no pause long enough for a timeout, until the server ends."""

    def give(self, handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
        handler.close_connection = True
        try:
            while not handler.server.ending.wait(0.02):
                handler.wfile.write(b"x")
        except OSError:
            return


class Halt:
    """The beginning of a body, and then nothing until the server ends."""

    def __init__(self, status=200, headers=None):
        self.status = status
        self.headers = headers or {}

    def give(self, handler):
        handler.send_response(self.status)
        for name, value in self.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "100")
        handler.end_headers()
        handler.wfile.write(b"[{")
        handler.server.ending.wait(STALL_SECONDS)
        handler.close_connection = True


class Drop:
    """No answer: the connection is closed."""

    def give(self, handler):
        handler.close_connection = True


class Canned(BaseAdapter):
    """An adapter of requests that answers every request with `body` and `status`."""

    def __init__(self):
        super().__init__()
        self.body = b""
        self.status = 200

    def send(self, request, **kwargs):
        raw = urllib3.HTTPResponse(io.BytesIO(self.body), status=self.status, preload_content=False)
        return HTTPAdapter().build_response(request, raw)

    def close(self):
        """Do nothing: no connection is open."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # head and body are two writes, and the second would wait 40 ms

    def setup(self):
        super().setup()
        self.server.connections += 1

    def do_GET(self):
        path, _, query = self.path.partition("?")
        self.server.asked.append((path, dict(urllib.parse.parse_qsl(query)), dict(self.headers)))
        self.server.was_asked.set()
        self.server.next_answer(path, dict(urllib.parse.parse_qsl(query))).give(self)

    def log_message(self, *args):
        """Print nothing."""


class RestServer(ThreadingHTTPServer):
    """`script[path]` is a list of answers in order, of which the last is repeated, or a function of the query.

    `asked` has (path, query, headers) of every request. `connections` counts all connections.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = {}
        self.asked = []
        self.connections = 0
        self.was_asked = threading.Event()
        self.ending = threading.Event()
        self._lock = threading.Lock()

    def __enter__(self):
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exc_info):
        self.ending.set()
        self.shutdown()
        self._thread.join(60)
        self.server_close()

    def handle_error(self, request, client_address):
        """Ignore clients that have disconnected."""

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def next_answer(self, path, query):
        with self._lock:
            script = self.script.get(path, [Answer({"message": "not found"}, 404)])
            if callable(script):
                return script(query)
            return script.pop(0) if len(script) > 1 else script[0]
