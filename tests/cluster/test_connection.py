import asyncio
import gzip
import socket
import ssl

import pytest

from condord.client.address import parse_url
from condord.cluster import connection
from condord.cluster.connection import ConnectionLost, Response, SourceSettings, open_request, refusal, require
from condord.errors import AccessDenied
from condord.host.network import Network
from condord.host.secret import Secret
from tests.fakes import tls
from tests.virtualtime import run

from .fakes import FakeSource, answer

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


async def got(settings, method="GET", target="/x", headers=(), max_bytes=10_000):
    """The status, a header and the body of an answer."""
    async with open_request(settings, method, target, dict(headers), 3.0) as response:
        return response.status, response.headers.get("x-one"), await response.read_body(max_bytes, 3.0)


def run_scenario(*script, **options):
    """The head of the request and the answer of a source that follows `script`."""

    async def scenario():
        async with FakeSource([*script]) as source:
            found = await got(source.settings(options.pop("token", None), base=options.pop("base", "")), **options)
            return source.heads[0], found

    return run(scenario())


def test_the_request_has_the_token_the_host_and_the_base_of_the_url():
    head, found = run_scenario(
        answer(404, b"no", "X-One: 1"), token="hush-hush", base="/desk", headers=[("Accept", "a/b")]
    )
    assert found == (404, "1", b"no")
    line, *fields = head.split("\r\n")
    assert line == "GET /desk/x HTTP/1.1"
    names = {name.lower(): value for name, _, value in (field.partition(": ") for field in fields)}
    assert names["authorization"] == "Bearer hush-hush"
    assert names["host"].startswith("127.0.0.1:")
    assert names["accept"] == "a/b"
    assert names["user-agent"].startswith("condord/")


def test_a_body_in_chunks_is_joined_and_interim_answers_are_left_out():
    _, found = run_scenario(b"HTTP/1.1 103 Early\r\n\r\n", CHUNKED, b"2\r\nab\r\n", 1.0, b"1\r\nc\r\n0\r\n\r\n")
    assert found == (200, None, b"abc")


def test_a_deflated_body_is_inflated():
    body = gzip.compress(b"plain")
    _, found = run_scenario(answer(200, body, "Content-Encoding: gzip"))
    assert found[2] == b"plain"


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ([], "it has closed the connection without an answer; if it expects TLS, name it with https://"),
        ([b"\x15\x03\x01\x00\x02\x02\x46"], "it expects TLS; name it with https://"),
        ([b"SSH-2.0\r\n\r\n"], "it has sent invalid or incomplete HTTP"),
        ([10.0], "nothing has come for 3 s"),
        ([CHUNKED, b"5\r\nab"], "it has sent invalid or incomplete HTTP"),
        ([CHUNKED, b"2\r\nab\r\n", 10.0], "nothing has come for 3 s"),
        ([answer(200, b"no gzip", "Content-Encoding: gzip")], "it has sent invalid gzip"),
        ([answer(200, b"x" * 20_000)], "its answer is longer than 10000 bytes"),
    ],
)
def test_an_incomplete_answer_counts_as_a_lost_connection(script, text):
    with pytest.raises(ConnectionLost) as caught:
        run_scenario(*script)
    assert str(caught.value) == text


def test_an_address_where_nothing_listens_is_lost():
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        settings = SourceSettings(address=parse_url(url), token=None, context=lambda: None)
        with pytest.raises(ConnectionLost, match="it cannot be reached: Connection refused"):
            run(got(settings))


def test_an_address_that_does_not_answer_is_lost_in_time(monkeypatch):
    async def never(*_args, **_options):
        await asyncio.Event().wait()

    monkeypatch.setattr(connection.asyncio, "open_connection", never)
    settings = SourceSettings(address=parse_url("http://10.0.0.1:1"), token=None, context=lambda: None)
    with pytest.raises(ConnectionLost, match="within 5 s"):
        run(got(settings))


def test_a_unix_socket_is_asked_as_localhost(tmp_path):
    async def scenario():
        async with FakeSource([answer(200, b"over it")], uds=str(tmp_path / "s")) as source:
            assert (await got(source.settings()))[2] == b"over it"
            return source.heads[0]

    assert "\r\nHost: localhost\r\n" in run(scenario())


def test_a_unix_socket_that_answers_nothing_is_not_taken_for_one_with_tls(tmp_path):
    async def scenario():
        async with FakeSource([], uds=str(tmp_path / "s")) as source:
            return await got(source.settings())

    with pytest.raises(ConnectionLost) as caught:
        run(scenario())
    assert str(caught.value) == "it has closed the connection without an answer"


def test_a_server_with_tls_that_is_asked_without_it_is_named_as_such(tmp_path):
    path = tls.certificate(tmp_path)

    async def scenario():
        server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0, ssl=tls.served(path))
        async with server:
            address = parse_url(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            return await got(SourceSettings(address=address, token=None, context=ssl.create_default_context))

    with pytest.raises(ConnectionLost, match="if it expects TLS, name it with https://"):
        asyncio.run(scenario())


def test_tls_requires_a_trusted_certificate(tmp_path):
    path = tls.certificate(tmp_path)

    async def scenario(environ):
        async with FakeSource([answer(200, b"sealed")], context=tls.served(path)) as source:
            return await got(source.settings(context=Network(environ).context))

    assert asyncio.run(scenario({"SSL_CERT_FILE": f"{path}.cert"}))[2] == b"sealed"
    with pytest.raises(ConnectionLost, match="its certificate is not trusted: self-signed certificate"):
        asyncio.run(scenario({}))


def test_tls_to_a_server_without_it_is_lost():
    async def answer_at_once(_reader, writer):
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async def scenario():
        server = await asyncio.start_server(answer_at_once, "127.0.0.1", 0)
        async with server:
            address = parse_url(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}", allows_tls=True)
            return await got(SourceSettings(address=address, token=None, context=ssl.create_default_context))

    with pytest.raises(ConnectionLost, match="it offers no TLS; check the port"):
        asyncio.run(scenario())


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ConnectionRefusedError(111, "Connect call failed ('127.0.0.1', 9)"), "Connection refused"),
        (OSError("Multiple exceptions: [Errno 111] …"), "none of its addresses answers"),
        (socket.gaierror(-2, "Name or service not known"), "Name or service not known"),
        (ssl.SSLError(1, "[SSL] …"), "TLS ended early"),
    ],
)
def test_a_system_error_gives_the_reason_in_its_own_words(error, text):
    assert connection._reason(error) == text


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("http://a.example", "a.example"),
        ("http://a.example:8420", "a.example:8420"),
        ("https://a.example:443", "a.example"),
        ("http://[::1]:7", "[::1]:7"),
        ("unix:///run/x", "localhost"),
    ],
)
def test_the_host_header_comes_from_the_url(url, host):
    assert connection._host(parse_url(url, allows_tls=True)) == host


PROBLEM = "application/problem+json"


def answered(status, **headers):
    """An answer with this head, and the settings of the source that gave it."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    settings = SourceSettings(address=parse_url("http://a.example/desk"), token=None, context=lambda: None)
    return settings, Response(status, headers, None, None)


@pytest.mark.parametrize(
    ("status", "headers", "text"),
    [
        (404, {}, "it answers 404 and is not a condord; "),
        (400, {"content_type": "text/html"}, "it answers 400 and is not a condord; "),
        (204, {}, "it answers 204 and is not a condord; "),
        (200, {"content_type": "Text/HTML; charset=utf-8"}, "it answers with text/html and is no"),
        (200, {}, "it answers with no type and is not a condord; "),
        (301, {"location": "https://a.example/x"}, "it redirects to https://a.example/x; name the"),
        (302, {}, "it redirects to nowhere; name the address of the condord itself"),
        (404, {"content_type": PROBLEM}, "it answers 404"),
        (502, {"content_type": "text/html"}, "it answers 502"),
    ],
)
def test_an_answer_of_another_program_names_what_to_check(status, headers, text):
    with pytest.raises(ConnectionLost) as caught:
        require(*answered(status, **headers), "text/event-stream")
    assert str(caught.value).startswith(text)
    if text.endswith("is not a condord; "):
        assert str(caught.value).endswith("check http or https, the host, the port and the path")


def test_the_answer_that_is_expected_may_have_parameters():
    require(*answered(200, content_type="text/event-stream; charset=utf-8"), "text/event-stream")


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_by_something_other_than_a_condord_does_not_blame_only_the_token(status):
    with pytest.raises(AccessDenied, match=f"answers {status}, but not as a condord") as caught:
        require(*answered(status, content_type="text/html"), "text/event-stream")
    assert caught.value.exit_code == 77
    assert "the port and the path of cluster.source" in caught.value.hint
    assert "cluster.source_token_file" in caught.value.hint


@pytest.mark.parametrize(
    ("status", "token", "text"),
    [(401, "t", "does not accept the token"), (403, "t", "does not accept the token"), (401, None, "requires a token")],
)
def test_a_refused_token_is_an_error_that_names_where_to_put_it(status, token, text):
    settings = SourceSettings(
        address=parse_url("http://a.example"), token=Secret(token) if token else None, context=lambda: None
    )
    error = refusal(settings, Response(status, {"content-type": PROBLEM}, None, None))
    assert str(error) == f"http://a.example {text}"
    assert "cluster.source_token_file" in error.hint
    assert error.exit_code == 77
    assert refusal(settings, Response(503, {}, None, None)) is None
