"""A name server for which every name is this machine, and TLS in front of the local Alpaca; runs inside the machine.

relay.py CERTIFICATE KEY
"""

import asyncio
import contextlib
import ssl
import sys

NAME, TLS, PLAIN = 53, 443, 8421
_ANSWER = b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04\x7f\x00\x00\x01"  # this name, A, IN, 1 s, 127.0.0.1


class NameServer(asyncio.DatagramProtocol):
    """Has an IPv4 address for all, and nothing else."""

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, query, sender):
        end = query.index(b"\0", 12) + 5
        has_address = query[end - 4 : end] == b"\x00\x01\x00\x01"
        counts = b"\x00\x01" + (b"\x00\x01" if has_address else b"\x00\x00") + b"\x00\x00\x00\x00"
        self.transport.sendto(
            query[:2] + b"\x81\x80" + counts + query[12:end] + (_ANSWER if has_address else b""), sender
        )


async def pass_on(reader, writer):
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()


async def relay(reader, writer):
    inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", PLAIN)
    await asyncio.gather(pass_on(reader, inner_writer), pass_on(inner_reader, writer))


async def main(certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(NameServer, local_addr=("127.0.0.1", NAME))
    server = await asyncio.start_server(relay, "127.0.0.1", TLS, ssl=context)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
