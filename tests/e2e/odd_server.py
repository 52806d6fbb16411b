"""A target that misbehaves: ``odd_server.py MODE ADDRESS PORT``. Prints ``listening``, then the ids.

slow     answers each request after DELAY_S
early    closes after it has read the first request, without an answer
partial  sends half of the announced answer, then closes
reset    resets the connection after the first request
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys

DELAY_S = 0.05
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 64\r\n\r\n" + 64 * b"x"


async def _request(reader: asyncio.StreamReader) -> str:
    """Read one request with its body; its id."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
    await reader.readexactly(int(headers.get("content-length", 0)))
    return headers["x-request-id"]


async def _serve(mode: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            print(await _request(reader), flush=True)
            if mode == "slow":
                await asyncio.sleep(DELAY_S)
                writer.write(ANSWER)
                continue
            if mode == "partial":
                writer.write(ANSWER[: len(ANSWER) // 2])
                await writer.drain()
            if mode == "reset":
                # No lingering, no time: close sends RST.
                connection = writer.get_extra_info("socket")
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
    except (asyncio.IncompleteReadError, ConnectionError):
        return
    finally:
        writer.close()


async def _main(mode: str, address: str, port: int) -> None:
    server = await asyncio.start_server(lambda r, w: _serve(mode, r, w), address, port, backlog=4096)
    print("listening", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
