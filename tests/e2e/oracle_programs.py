"""Small clients and servers of the oracle's tests: ``oracle_programs.py MODE ADDRESS PORT [MORE]``.

Standard library only. A server prints a line for each connection that has ended: what it received, as a
digest. A client exits with 0 if all answers were as expected.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import random
import smtplib
import socket
import struct
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MEMCACHED_WORKERS = 16
MEMCACHED_ROUNDS = 40
SMTP_WORKERS = 8
SMTP_MAILS = 10
SHORT_WORKERS = 16
FIRST_PORT = 20000
WEBSOCKET_CLIENTS = 16
WEBSOCKET_MESSAGES = 100
PUSHES = 100
WEBSOCKET_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CLOSE, BINARY = 8, 2


def ask(address: str, port: str, text: str) -> None:
    """Send a text, print what comes back until the server closes."""
    with socket.create_connection((address, int(port)), timeout=10) as peer:
        peer.sendall(text.encode())
        print(b"".join(iter(lambda: peer.recv(65536), b"")).decode())


def memcached(address: str, port: str, longest: str) -> None:
    """Several connections that set, get, count and delete; keys and a counter of their own."""
    with ThreadPoolExecutor(MEMCACHED_WORKERS) as pool:
        list(
            pool.map(
                lambda worker: _memcached(address, int(port), worker, int(longest)), range(MEMCACHED_WORKERS)
            )
        )


def _memcached(address: str, port: int, worker: int, longest: int) -> None:
    chance = random.Random(worker)  # noqa: S311 - the same in each run
    with socket.create_connection((address, port), timeout=10) as peer, peer.makefile("rb") as answers:
        peer.sendall(f"set counter{worker} 0 0 1\r\n0\r\n".encode())
        assert answers.readline() == b"STORED\r\n"
        for number in range(MEMCACHED_ROUNDS):
            keys = [f"k{worker}-{chance.randrange(64)}" for _ in range(16)]
            value = chance.randbytes(chance.randrange(1, longest)).hex()
            # Pipelined: sixteen requests in one write.
            peer.sendall(b"".join(f"set {key} 0 0 {len(value)}\r\n{value}\r\n".encode() for key in keys))
            assert all(answers.readline() == b"STORED\r\n" for _ in keys)
            peer.sendall(f"get {keys[0]}\r\nincr counter{worker} {number}\r\ndelete {keys[1]}\r\n".encode())
            lines = [answers.readline() for _ in range(5)]
            assert lines[1].strip() == value.encode(), lines
        peer.sendall(b"quit\r\n")


async def _smtp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection: the server speaks first; the mails are summed up in order."""
    digest, mails = hashlib.sha256(), 0

    def say(text: str) -> None:
        writer.write(f"{text}\r\n".encode())

    say("220 lab ESMTP")
    while line := await reader.readline():
        digest.update(line)
        verb = line.split()[0].upper()
        if verb == b"DATA":
            say("354 go on")
            while (text := await reader.readline()) != b".\r\n":
                digest.update(text)
            mails += 1
        if verb == b"EHLO":
            say("250-lab\r\n250 8BITMIME")
        else:
            say("221 bye" if verb == b"QUIT" else "250 ok")
        if verb == b"QUIT":
            break
    print(*writer.get_extra_info("peername")[:2], mails, digest.hexdigest(), flush=True)
    writer.close()


def smtp(address: str, port: str) -> None:
    """Several clients, each with several mails on one connection."""
    with ThreadPoolExecutor(SMTP_WORKERS) as pool:
        list(pool.map(lambda worker: _mails(address, int(port), worker), range(SMTP_WORKERS)))


def _mails(address: str, port: int, worker: int) -> None:
    chance = random.Random(worker)  # noqa: S311 - the same in each run
    with smtplib.SMTP(address, port, local_hostname="client", timeout=10) as peer:
        for number in range(SMTP_MAILS):
            text = base64.encodebytes(chance.randbytes(chance.randrange(10, 50000))).decode()
            peer.sendmail(f"{worker}@lab", [f"{number}@lab", "all@lab"], f"Subject: {number}\r\n\r\n{text}")


def _frame(payload: bytes, kind: int, mask: bytes = b"") -> bytes:
    """A WebSocket frame (RFC 6455 5.2); a client's is masked."""
    size = len(payload)
    short = size if size < 126 else 126 if size < 1 << 16 else 127
    head = bytes((0x80 | kind, (0x80 if mask else 0) | short))
    head += b"" if short < 126 else struct.pack("!H" if short == 126 else "!Q", size)
    return head + mask + (_masked(payload, mask) if mask else payload)


def _masked(payload: bytes, mask: bytes) -> bytes:
    size = len(payload)
    key = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
    return (int.from_bytes(payload, "big") ^ key).to_bytes(size, "big")


async def _receive(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    kind, short = await reader.readexactly(2)
    size = short & 127
    if size > 125:
        size = int.from_bytes(await reader.readexactly(2 if size == 126 else 8), "big")
    mask = await reader.readexactly(4) if short & 128 else b""
    payload = await reader.readexactly(size)
    return kind & 15, _masked(payload, mask) if mask else payload


async def _batches(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers each line with ``ok``, after a while if so told."""
    digest = hashlib.sha256()
    while line := await reader.readline():
        digest.update(line)
        await asyncio.sleep(float(sys.argv[4]))
        writer.write(b"ok\n")
    print(*writer.get_extra_info("peername")[:2], digest.hexdigest(), flush=True)
    writer.close()


def batches(address: str, port: str) -> None:
    """Lines that do not end where segments do: each next one leaves when an answer has come."""
    with socket.create_connection((address, int(port)), timeout=10) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in (b"first\nsecond\nthi", b"rd of ", b"three\n"):
            peer.sendall(piece)
            assert peer.recv(3) == b"ok\n"


async def _websocket(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection: echoes, and pushes at the same time on its own."""
    head = await reader.readuntil(b"\r\n\r\n")
    key = head.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
    accept = base64.b64encode(hashlib.sha1(key + WEBSOCKET_MAGIC).digest())  # noqa: S324 - the protocol's
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                 b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")  # fmt: skip
    digest = hashlib.sha256(head)
    pushing = asyncio.create_task(_push(writer))
    kind = BINARY
    while kind != CLOSE:
        kind, payload = await _receive(reader)
        digest.update(payload)
        if kind == CLOSE:
            await pushing
        writer.write(_frame(payload, kind))
        await writer.drain()
    print(*writer.get_extra_info("peername")[:2], digest.hexdigest(), flush=True)
    writer.close()


async def _push(writer: asyncio.StreamWriter) -> None:
    for number in range(PUSHES):
        writer.write(_frame(b"news %d " % number * (number % 50), BINARY))
        await asyncio.sleep(0.01)


async def _websocket_client(address: str, port: int, worker: int) -> None:
    chance = random.Random(worker)  # noqa: S311 - the same in each run
    reader, writer = await asyncio.open_connection(address, port)
    key = base64.b64encode(chance.randbytes(16)).decode()
    upgrade = (
        f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13"
    )
    writer.write(f"GET /live HTTP/1.1\r\nHost: {address}\r\n{upgrade}\r\n\r\n".encode())
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    heard = asyncio.create_task(_listen(reader))
    for _ in range(WEBSOCKET_MESSAGES):
        writer.write(_frame(chance.randbytes(chance.randrange(1, 20000)), BINARY, chance.randbytes(4)))
        await writer.drain()
        await asyncio.sleep(chance.random() * 0.02)
    writer.write(_frame(b"", CLOSE, b"abcd"))
    assert await heard == WEBSOCKET_MESSAGES + PUSHES
    writer.close()
    await writer.wait_closed()


async def _listen(reader: asyncio.StreamReader) -> int:
    count = 0
    while (await _receive(reader))[0] != CLOSE:
        count += 1
    return count


def websocket(address: str, port: str) -> None:
    """Several clients that send while the server pushes."""

    async def all_of_them() -> None:
        clients = (_websocket_client(address, int(port), worker) for worker in range(WEBSOCKET_CLIENTS))
        await asyncio.wait_for(asyncio.gather(*clients), 60)

    asyncio.run(all_of_them())


def pipeline(address: str, port: str, count: str) -> None:
    """Many HTTP requests in one write, then all answers."""
    ask_one = "GET /%s HTTP/1.1\r\nHost: a\r\nX-Request-Id: p-%d\r\n%s\r\n"
    texts = [
        ask_one % (("small", "page")[n % 2], n, "Connection: close\r\n" if n == int(count) else "")
        for n in range(1, int(count) + 1)
    ]
    with socket.create_connection((address, int(port)), timeout=10) as peer:
        peer.sendall("".join(texts).encode())
        answers = b"".join(iter(lambda: peer.recv(1 << 20), b""))
    assert answers.count(b"HTTP/1.1 200 OK") == int(count)


def serve(handler: str, address: str, port: str, *_: str) -> None:
    """Serve until it is ended."""

    async def forever() -> None:
        server = await asyncio.start_server(HANDLERS[handler], address, int(port), backlog=1024)
        await server.serve_forever()

    asyncio.run(forever())


HANDLERS = {"serve-batches": _batches, "serve-smtp": _smtp, "serve-websocket": _websocket}
CLIENTS: dict[str, Callable[..., None]] = {
    "batches": batches,
    "ask": ask,
    "memcached": memcached,
    "smtp": smtp,
    "websocket": websocket,
    "pipeline": pipeline,
}

if __name__ == "__main__":
    mode, *rest = sys.argv[1:]
    if mode in HANDLERS:
        serve(mode, *rest)
    else:
        CLIENTS[mode](*rest)
