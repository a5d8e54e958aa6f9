"""A fake daemon on a real socket, whose answers a test sets."""

import contextlib
import http.server
import socket
import socketserver
import threading

from tests.fakes import documents

HOLD = object()
"""In a stream's script: send nothing more and keep the stream open until the test ends."""


class FakeDaemon:
    """`answers` maps paths to (status, headers, body), and `posts` those of POST. `streams` has a list of byte strings for each connection.

    After the last of them the next connection gets a 401, so that a client that follows the stream ends.
    """

    def __init__(self):
        self.answers = {
            "/api/positions": json(documents.document()),
            "/api/status": json(documents.report()),
            "/api/history": json(documents.recorded()),
            "/api/trades": json(documents.trades()),
            "/api/alerts": json(documents.alerts()),
        }
        self.posts = {}
        self.streams = []
        self.requests = []
        self.has_ended = threading.Event()
        self.url = ""


def json(answer, status=200):
    return status, {"Content-Type": "application/json"}, documents.body(answer)


def problem(status, detail, **headers):
    answer = {"type": "about:blank", "title": "No", "status": status, "detail": detail}
    return status, {"Content-Type": "application/problem+json"} | headers, documents.body(answer)


def unread(detail="this relay has read nothing from http://a in 12 s: it is gone", *, code="sourceLost", **cluster):
    """The answer of a server that has no document yet."""
    more = {"code": code, "cluster": {"role": "relay", "source": "http://a"} | cluster}
    answer = {"type": "about:blank", "title": "No", "status": 503, "detail": detail, **more}
    answer |= {"version": "0.2.0", "pid": 4711, "uptime": 12.3}
    return 503, {"Content-Type": "application/problem+json", "Retry-After": "1"}, documents.body(answer)


@contextlib.contextmanager
def serving(uds=None):
    """Run a fake daemon on a free port, or on the Unix socket `uds`."""
    fake = FakeDaemon()
    handler = type("Handler", (_Handler,), {"fake": fake})
    server = _UnixServer(str(uds), handler) if uds else _TcpServer(("127.0.0.1", 0), handler)
    fake.url = f"unix://{uds}" if uds else f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield fake
    finally:
        fake.has_ended.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _TcpServer(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request, client_address):
        """Ignore clients that disconnect early, as some tests do."""


class _UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def get_request(self):
        request, _ = super().get_request()
        return request, ("local", 0)


class _Handler(http.server.BaseHTTPRequestHandler):
    fake: FakeDaemon
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.fake.requests.append((self.path, dict(self.headers)))
        if self.path.startswith("/api/stream"):
            self._stream()
            return
        self._answer(*self.fake.answers.get(self.path, problem(404, f"there is nothing at {self.path}")))

    def do_POST(self):
        self.fake.requests.append((self.path, dict(self.headers)))
        self._answer(*self.fake.posts.get(self.path, problem(404, f"there is nothing at {self.path}")))

    def _answer(self, status, headers, body):
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "Connection": "close", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def _stream(self):
        script = self.fake.streams.pop(0) if self.fake.streams else problem(401, "no token")
        if isinstance(script, tuple):
            self._answer(*script)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in script:
            if part is HOLD:
                self.fake.has_ended.wait()
                break
            self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
            self.wfile.flush()
        else:
            self.wfile.write(b"0\r\n\r\n")
        self.close_connection = True

    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def raw(answer):
    """Run a server that does not speak HTTP: it sends `answer` to any request and closes the connection."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve():
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()
        listener.close()
