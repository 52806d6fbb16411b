"""Many readers of the counters' stream, until SIGTERM: ``… PORT PATH TOKEN COUNT``.

Prints one JSON list: how many events each of them got.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys

EVENT = b"event: counters"


async def read(port: int, path: str, token: str, got: list[int], number: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    while line := await reader.readline():
        got[number] += line.startswith(EVENT)


async def main(port: int, path: str, token: str, count: int) -> None:
    got = [0] * count
    readers = asyncio.gather(*(read(port, path, token, got, number) for number in range(count)))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, readers.cancel)
    try:
        await readers
    except asyncio.CancelledError:
        print(json.dumps(got))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])))
