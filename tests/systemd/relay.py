"""A name server that resolves every name to this machine, and a TLS proxy for the simulator; runs in the machine.

relay.py CERTIFICATE KEY
"""

import asyncio
import contextlib
import ssl
import sys

NAME, TLS, PLAIN = 53, 443, 8421
_ANSWER = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04\x7f\x00\x00\x01"  # this name, A, IN, 1 s, 127.0.0.1


class NameServer(asyncio.DatagramProtocol):
    """Answers every query for an IPv4 address with 127.0.0.1, and others with no records."""

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, query, sender):
        end = query.index(b"\0", 12) + 5
        has_address = query[end - 4 : end] == b"\x00\x01\x00\x01"
        counts = b"\x00\x01" + (b"\x00\x01" if has_address else b"\x00\x00") + b"\x00\x00\x00\x00"
        self.transport.sendto(
            query[:2] + b"\x81\x80" + counts + query[12:end] + (_ANSWER if has_address else b""), sender
        )


async def pass_on(reader, writer, named=b"", local=b""):
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data.replace(named, local) if named else data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()


async def relay(reader, writer):
    inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", PLAIN)
    # The simulator accepts no foreign Host. On loopback, no read ends in the middle of this header.
    hosts = (b"Host: alpaca.test", b"Host: 127.0.0.1")
    await asyncio.gather(pass_on(reader, inner_writer, *hosts), pass_on(inner_reader, writer))


async def main(certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", NAME))
    server = await asyncio.start_server(relay, "127.0.0.1", TLS, ssl=context)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
