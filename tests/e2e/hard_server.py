"""A server that keeps time: ``hard_server.py ADDRESS PORT``. ``GET /SIZE`` answers with SIZE bytes.

Prints ``listening``, then for each request a line: id, connection, when the request was complete and when the
client had acknowledged the whole answer (nanoseconds of CLOCK_MONOTONIC, which all namespaces share).
"""

from __future__ import annotations

import array
import asyncio
import fcntl
import itertools
import sys
import termios
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

POLL_S = 0.002
connections = itertools.count()


def unacknowledged(peer: socket.socket) -> int:
    """Bytes in the socket that the other side has not acknowledged (SIOCOUTQ)."""
    size = array.array("i", [0])
    fcntl.ioctl(peer.fileno(), termios.TIOCOUTQ, size)
    return size[0]


async def _delivered(writer: asyncio.StreamWriter) -> None:
    peer = writer.get_extra_info("socket")
    while writer.transport.get_write_buffer_size() or unacknowledged(peer):
        if writer.transport.is_closing():
            raise ConnectionError
        await asyncio.sleep(POLL_S)


async def _serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    connection = next(connections)
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            arrived = time.monotonic_ns()
            line, *rest = head.split("\r\n")
            headers = dict(each.lower().split(": ", 1) for each in rest if each)
            size = int(line.split()[1][1:])
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n".encode() + bytes(size))
            if size >= 1 << 16:
                await _delivered(writer)
            print(headers["x-request-id"], connection, arrived, time.monotonic_ns(), flush=True)
    except (OSError, asyncio.IncompleteReadError):
        return
    finally:
        writer.close()


async def _main(address: str, port: int) -> None:
    server = await asyncio.start_server(_serve, address, port, backlog=4096)
    print("listening", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], int(sys.argv[2])))
